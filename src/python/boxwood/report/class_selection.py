"""A picture of which class averages were selected."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from boxwood.report.sheet import draw_sheet
from boxwood.typing import AnyArray


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
    draw_sheet(
        path,
        averages[order],
        labels=[f"{k + 1}: {score[k]:.2f}, {100 * share[k]:.1f} %" for k in order],
        framed=selected[order],
        heading="class: score, share of particles; selected in green",
        columns=columns,
    )
