"""A picture of the averages of a 2D classification."""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from boxwood.report.sheet import draw_sheet
from boxwood.typing import AnyArray


def draw_class_averages(
    path: str | os.PathLike[str],
    averages: AnyArray,
    share: npt.ArrayLike,
    resolution_angstrom: npt.ArrayLike,
    title: str,
    columns: int = 10,
) -> Path:
    """Draw all class averages, the largest class first, with number, share and resolution; write a PNG.

    Parameters
    ----------
    path : path
    averages : (K, box, box)
    share, resolution_angstrom : (K,)
        A resolution that is not finite is left out.
    title : str
    columns : int
    """
    share, resolution = np.asarray(share, float), np.asarray(resolution_angstrom, float)
    order = np.argsort(-share, kind="stable")
    labels = [
        f"{k + 1}: {100 * share[k]:.1f} %"
        + (f", {resolution[k]:.0f} Å" if np.isfinite(resolution[k]) else "")
        for k in order
    ]
    return draw_sheet(path, averages[order], labels=labels, heading=title, columns=columns, sigma=4.0)
