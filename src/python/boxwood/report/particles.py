"""Pictures of extracted particles."""

import os
from pathlib import Path

import numpy as np

from boxwood.imaging.montage import grey_levels, montage
from boxwood.report.figures import new_figure, save_figure
from boxwood.typing import AnyArray

_COLUMNS = 12


def draw_particles(path: str | os.PathLike[str], images: AnyArray, mean: AnyArray, count: int) -> Path:
    """Draw some particles side by side and the mean of all; write a PNG.

    Parameters
    ----------
    path : path
    images : (n, size, size), n > 0
    mean : (size, size)
    count : int
        Number of particles in the mean.
    """
    sheet = montage(np.array([grey_levels(image) for image in images]), columns=_COLUMNS)
    figure = new_figure(13, 10.6 * sheet.shape[0] / sheet.shape[1] + 0.4)
    left, right = figure.subplots(1, 2, width_ratios=(5, 1))
    left.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    left.set_title(f"{len(images)} of {count} particles", fontsize=9)
    right.imshow(grey_levels(mean), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    right.set_title("mean of all", fontsize=9)
    for axes in (left, right):
        axes.set_axis_off()
    return save_figure(figure, path)
