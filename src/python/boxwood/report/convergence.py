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
    """Draw log-likelihood, resolution, class sizes, and what changes, over iterations; write a PNG.

    Parameters
    ----------
    path : path
    history : DataFrame
        One row an iteration: iteration, log_likelihood, resolution_angstrom, half_set_resolution_angstrom,
        effective_classes, populated_classes, largest_class, changed_classes, largest_probability, and
        changed_psi_deg, accuracy_psi_deg, changed_offset_px, accuracy_offset_px. Iteration 0, the initial
        model, has been compared with nothing and is left out.
    classes : int
    """
    history = history[history["iteration"] > 0]
    iteration = history["iteration"].to_numpy()
    figure = Figure(figsize=(13, 5.4))
    # A fixed layout: the constrained one takes longer than all the rest.
    figure.subplots_adjust(0.05, 0.085, 0.98, 0.95, wspace=0.14, hspace=0.25)
    (likelihood, resolution, turns), (sizes, changes, shifts) = figure.subplots(2, 3)

    _curves(likelihood, iteration, "log-likelihood per particle", {"": history["log_likelihood"]})
    best = {
        "signal above noise": 1 / history["resolution_angstrom"],
        "halves agree": 1 / history["half_set_resolution_angstrom"],
    }
    _curves(resolution, iteration, "resolution of the best class, Å", best)
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
    for axes, title, what in (
        (turns, "angles, degrees", "psi_deg"),
        (shifts, "offsets, pixels", "offset_px"),
    ):
        curves = {
            "change, root mean square": history[f"changed_{what}"],
            "expected accuracy": history[f"accuracy_{what}"].replace(np.inf, np.nan),
        }
        _curves(axes, iteration, title, curves)
    for axes in (resolution, sizes, changes, turns, shifts):
        axes.set_ylim(bottom=0)
    for axes in (sizes, changes, shifts):
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
