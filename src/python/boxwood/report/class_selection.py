"""A picture of which class averages were selected."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from boxwood.imaging.montage import grey_levels, montage
from boxwood.typing import AnyArray

SELECTED = "#2a9d2a"
CELL_INCHES = 1.2


def draw_class_selection(
    path: Path,
    averages: AnyArray,
    selected: npt.ArrayLike,
    score: npt.ArrayLike,
    share: npt.ArrayLike,
    columns: int = 10,
) -> None:
    """Draw all class averages in the order of their score, the selected ones framed green; write a PNG.

    Parameters
    ----------
    path : Path
    averages : (K, box, box)
    selected : (K,) bool
    score, share : (K,)
    columns : int
    """
    selected, score, share = np.asarray(selected, bool), np.asarray(score), np.asarray(share)
    order = np.argsort(-score, kind="stable")
    columns, box = min(columns, len(averages)), averages.shape[-1]
    gap = max(4, box // 5)  # room for the line of text above each image
    levels = np.array([grey_levels(averages[index]) for index in order])
    sheet = montage(levels, columns, gap)
    sheet = np.pad(sheet, ((gap, 2), (2, 2)), constant_values=1.0)
    scale = CELL_INCHES / (box + gap)
    figure = Figure(figsize=(sheet.shape[1] * scale, sheet.shape[0] * scale + 0.3))
    axis = figure.add_axes((0, 0, 1, sheet.shape[0] * scale / (sheet.shape[0] * scale + 0.3)))
    axis.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    axis.set_axis_off()
    for place, index in enumerate(order):
        y, x = gap + (place // columns) * (box + gap), 2 + (place % columns) * (box + gap)
        label = f"{index + 1}: {score[index]:.2f}, {100 * share[index]:.1f} %"
        axis.text(x + box / 2, y - gap / 8, label, fontsize=6, ha="center", va="bottom")
        if selected[index]:
            frame = Rectangle((x - 1, y - 1), box + 1, box + 1, fill=False, color=SELECTED, linewidth=2.5)
            axis.add_patch(frame)
    figure.text(
        0.5, 0.995, "class: score, share of particles; selected in green", fontsize=8, ha="center", va="top"
    )
    figure.savefig(path, dpi=120)
