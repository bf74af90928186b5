"""A picture of how a 2D classification converges."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from boxwood.report.figures import ACCENT, GREY, SECOND, plain_axes, save_figure
from boxwood.typing import AnyArray


def draw_convergence(path: str | os.PathLike[str], history: pd.DataFrame, classes: int) -> Path:
    """Draw log-likelihood, resolution, class sizes and changed assignments over iterations; write a PNG.

    Parameters
    ----------
    path : path
    history : DataFrame
        One row an iteration: iteration, log_likelihood, resolution_angstrom, effective_classes,
        populated_classes, largest_class, changed_classes, largest_probability. Iteration 0, the initial
        model, has been compared with nothing and is left out.
    classes : int
    """
    history = history[history["iteration"] > 0]
    iteration = history["iteration"].to_numpy()
    figure = Figure(figsize=(9, 5.4))
    # A fixed layout: the constrained one takes longer than all the rest.
    figure.subplots_adjust(0.07, 0.085, 0.98, 0.95, wspace=0.14, hspace=0.25)
    (likelihood, resolution), (sizes, changes) = figure.subplots(2, 2)

    _curves(likelihood, iteration, "log-likelihood per particle", {"": history["log_likelihood"]})
    best = history["resolution_angstrom"].to_numpy(float)
    frequency = np.where(np.isfinite(best) & (best > 0), 1 / np.where(best > 0, best, 1), np.nan)
    _curves(resolution, iteration, "resolution of the best class, Å", {"": frequency})
    # even in spatial frequency, labelled in Angstrom
    resolution.yaxis.set_major_formatter(lambda value, _: f"{1 / value:.1f}" if value > 1e-6 else "∞")
    _curves(
        sizes,
        iteration,
        f"classes, of {classes}",
        {
            "effective number": history["effective_classes"],
            "populated": history["populated_classes"],
            "largest class, % of particles": 100 * history["largest_class"],
        },
    )
    _curves(
        changes,
        iteration,
        "particles, %",
        {
            "changed class": 100 * history["changed_classes"],
            "largest probability, mean": 100 * history["largest_probability"],
        },
    )
    for axes in (resolution, sizes, changes):
        axes.set_ylim(bottom=0)
    for axes in (sizes, changes):
        axes.set_xlabel("iteration", fontsize=8)
    return save_figure(figure, path)


def _curves(axes: Axes, x: AnyArray, title: str, curves: dict[str, npt.ArrayLike]) -> None:
    plain_axes(axes)
    for (label, y), colour in zip(curves.items(), (ACCENT, SECOND, GREY), strict=False):
        axes.plot(x, np.asarray(y, float), ".-", color=colour, markersize=4, label=label)
    if len(curves) > 1:
        axes.legend(fontsize=7, frameon=False)
    axes.set_title(title, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
