"""Pictures of what settings of a picker are expected to find."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from boxwood.report.figures import ACCENT, GREY, SECOND, new_figure, plain_axes, save_figure
from boxwood.typing import DoubleArray


class Expected(Protocol):
    """Expectations by threshold, each (t,)."""

    @property
    def threshold(self) -> DoubleArray: ...
    @property
    def precision(self) -> DoubleArray: ...
    @property
    def recall(self) -> DoubleArray: ...
    @property
    def f1(self) -> DoubleArray: ...


def draw_tuning_curve(path: str | os.PathLike[str], curve: Expected, best: int) -> Path:
    """Draw expected precision, recall and F-measure, the chosen threshold marked; write a PNG."""
    figure = new_figure(5.5, 3.6)
    axes = plain_axes(figure.add_subplot())
    rate = bool((curve.threshold <= 0).all())  # levels that are false-discovery rates, turned
    x = np.abs(curve.threshold) if rate else curve.threshold
    for values, colour, label in (
        (curve.precision, ACCENT, "precision"),
        (curve.recall, SECOND, "recall"),
        (curve.f1, GREY, "F-measure"),
    ):
        axes.plot(x, values, color=colour, label=label)
    axes.axvline(x[best], color="black", linewidth=0.8, linestyle="--")
    axes.set(
        xlabel="largest local false-discovery rate"
        if rate
        else "threshold, standard deviations above the mean",
        ylabel="expected",
        ylim=(0, 1.02),
    )
    axes.legend(frameon=False, fontsize=8)
    return save_figure(figure, path)


def draw_settings(
    path: str | os.PathLike[str],
    diameter: Sequence[float],
    distance: Sequence[float],
    value: Sequence[float],
    label: str,
) -> Path:
    """Draw the value of every setting against the diameter, a curve per distance; write a PNG."""
    figure = new_figure(5.5, 3.6)
    axes = plain_axes(figure.add_subplot())
    x, apart, y = np.asarray(diameter), np.asarray(distance), np.asarray(value)
    if len(np.unique(x)) == 1:
        axes.plot(apart, y, "o-", color=ACCENT)
        axes.set(xlabel="distance, Å")
    else:
        for part in np.unique(apart):
            axes.plot(x[apart == part], y[apart == part], "o-", markersize=3, label=f"distance {part:g} %")
        axes.set(xlabel="diameter, Å")
        axes.legend(frameon=False, fontsize=7)
    axes.set(ylabel=label)
    return save_figure(figure, path)
