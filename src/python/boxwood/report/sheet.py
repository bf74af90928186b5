"""Sheets of small images, with a line of text above each."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from boxwood.imaging.montage import grey_levels, montage
from boxwood.report.figures import save_figure
from boxwood.typing import AnyArray

FRAME = "#2a9d2a"
_CELL_INCHES = 1.2
_HEADING_INCHES = 0.3


def draw_sheet(
    path: str | os.PathLike[str],
    images: AnyArray,
    *,
    labels: Sequence[str] | None = None,
    framed: npt.ArrayLike | None = None,
    heading: str = "",
    columns: int = 10,
    sigma: float = 3.0,
) -> Path:
    """Draw images row by row, each with grey levels of its own; write a PNG.

    Parameters
    ----------
    path : path
    images : (n, box, box), n > 0
    labels : n strings, optional
        One line above each image.
    framed : (n,) bool, optional
        Images to put a green frame around.
    heading : str
    columns : int
    sigma : float
        Black and white are this many standard deviations from the mean.
    """
    columns, box = min(columns, len(images)), images.shape[-1]
    gap = max(4, box // 5) if labels else max(2, box // 32)
    levels = np.array([grey_levels(image, sigma) for image in images])
    sheet = montage(levels, columns, gap)
    sheet = np.pad(sheet, ((gap, 2), (2, 2)), constant_values=1.0)
    scale = _CELL_INCHES / (box + gap)
    width, height = sheet.shape[1] * scale, sheet.shape[0] * scale
    total = height + (_HEADING_INCHES if heading else 0)
    figure = Figure(figsize=(max(width, 0.07 * len(heading)), total))
    axes = figure.add_axes((0, 0, 1, height / total))
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axes.set_axis_off()
    for place in range(len(images)):
        y, x = gap + (place // columns) * (box + gap), 2 + (place % columns) * (box + gap)
        if labels:
            axes.text(x + box / 2, y - gap / 8, labels[place], fontsize=7, ha="center", va="bottom")
        if framed is not None and np.asarray(framed)[place]:
            frame = Rectangle((x - 1, y - 1), box + 1, box + 1, fill=False, color=FRAME, linewidth=2.5)
            axes.add_patch(frame)
    figure.text(0.5, 1 - 0.05 / total, heading, fontsize=8, ha="center", va="top")
    return save_figure(figure, path)
