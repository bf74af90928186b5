"""Pictures of picks: circles on a micrograph, and what the figures of merit and the counts look like."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure

from boxwood.imaging.montage import grey_levels
from boxwood.typing import AnyArray, FloatArray

PREVIEW_PX = 900
CIRCLE = "#33dd55"


def preview(micrograph: AnyArray, longest_px: int = PREVIEW_PX) -> tuple[FloatArray, int]:
    """Average blocks of pixels until a micrograph is small enough to be looked at.

    Returns
    -------
    image : (ny // factor, nx // factor) float32
    factor : int
    """
    factor = max(1, -(-max(micrograph.shape) // longest_px))
    ny, nx = (n // factor for n in micrograph.shape)
    if not ny or not nx:
        return np.asarray(micrograph, np.float32), 1
    blocks = micrograph[: ny * factor, : nx * factor].reshape(ny, factor, nx, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float64).astype(np.float32), factor


def draw_picks(
    path: Path,
    image: AnyArray,
    factor: int,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    diameter_px: npt.ArrayLike,
    title: str,
) -> None:
    """Draw circles around the picks of one micrograph; write a PNG.

    Parameters
    ----------
    path : Path
    image : (ny, nx), factor : int
        From `preview`.
    x, y, diameter_px : (n,)
        Pixels of the whole micrograph.
    title : str
    """
    ny, nx = image.shape
    figure = Figure(figsize=(nx / 100, ny / 100 + 0.3), dpi=100)
    axis = figure.add_axes((0, 0, 1, ny / (ny + 30)))
    axis.imshow(grey_levels(image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    centres = (np.column_stack([x, y]) + 0.5) / factor - 0.5
    width = np.asarray(diameter_px, np.float64) / factor
    axis.add_collection(
        EllipseCollection(
            width,
            width,
            np.zeros_like(width),
            units="xy",
            offsets=centres,
            offset_transform=axis.transData,
            facecolors="none",
            edgecolors=CIRCLE,
            linewidths=1.2,
        )
    )
    axis.set_axis_off()
    figure.text(0.5, 0.995, title, fontsize=9, ha="center", va="top")
    figure.savefig(path)


def draw_pick_statistics(path: Path, fom: npt.ArrayLike, counts: npt.ArrayLike) -> None:
    """Draw the histogram of all figures of merit, and the number of picks of each micrograph; write a PNG.

    Parameters
    ----------
    path : Path
    fom : (picks,)
    counts : (micrographs,)
    """
    fom, counts = np.asarray(fom), np.asarray(counts)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.hist(fom, bins=min(60, max(10, len(fom) // 20)), color="#4477aa")
    left.set(xlabel="figure of merit", ylabel="picks", title=f"{len(fom)} picks")
    right.plot(np.arange(1, len(counts) + 1), counts, "o", color="#4477aa", markersize=3)
    right.set(xlabel="micrograph", ylabel="picks", title=f"{len(counts)} micrographs", ylim=(0, None))
    figure.savefig(path, dpi=110)
