"""Pictures of extracted particles."""

from pathlib import Path

from matplotlib.figure import Figure

from boxwood.imaging.montage import grey_levels, montage
from boxwood.typing import AnyArray


def draw_particles(path: Path, images: AnyArray, mean: AnyArray, count: int) -> None:
    """Draw some particles side by side and the mean of all; write a PNG.

    Parameters
    ----------
    path : Path
    images : (n, size, size)
    mean : (size, size)
    count : int
        Number of particles in the mean.
    """
    sheet = montage(images)
    figure = Figure(figsize=(11, 7.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    left.imshow(grey_levels(sheet), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    left.set_title(f"{len(images)} of {count} particles")
    right.imshow(mean, cmap="gray", interpolation="nearest")
    right.set_title("mean of all")
    for axis in (left, right):
        axis.set_axis_off()
    figure.savefig(path, dpi=110)
