"""Curves of how a classification converged."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from boxwood.report.figures import ACCENT, GREY, SECOND, new_figure, plain_axes, save_figure
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class Convergence:
    """What is known about each iteration; NaN where it is not.

    Attributes
    ----------
    iteration : (n,) int
    log_likelihood : (n,)
        Mean over particles. Comparable only between iterations that compare the same shells.
    shares : (n, k)
        Share of the particles in each class.
    resolution_angstrom : (n, k)
        Of each class; not finite where it has none.
    changed_classes : (n,)
        Share of the particles that changed their class.
    limit : (n,), optional
        Number of shells that each iteration compared; where it changes a dotted line is drawn.
    """

    iteration: Sequence[int] | AnyArray
    log_likelihood: Sequence[float] | AnyArray
    shares: AnyArray
    resolution_angstrom: AnyArray
    changed_classes: Sequence[float] | AnyArray
    limit: Sequence[int] | AnyArray | None = None


def effective_number(shares: AnyArray) -> AnyArray:
    """Effective number of classes, exp(entropy of the shares), along the last axis."""
    shares = np.asarray(shares, float)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.exp(-(shares * logs).sum(axis=-1))


def draw_convergence(path: str | os.PathLike[str], history: Convergence, *, title: str = "") -> Path:
    """Draw log-likelihood, resolution, class sizes and changed assignments by iteration; write a PNG."""
    iteration = np.asarray(history.iteration)
    shares = np.asarray(history.shares, float)
    figure = new_figure(9, 5.4)
    (likelihood, resolution), (sizes, changes) = figure.subplots(2, 2)
    # iteration 0 is the initial model, which nothing has been compared with
    expected = np.where(iteration > 0, history.log_likelihood, np.nan)
    changed = np.where(iteration > 0, 100 * np.asarray(history.changed_classes, float), np.nan)
    _curve(likelihood, iteration, expected, "log-likelihood per particle")
    if history.limit is not None:
        likelihood.set_title("log-likelihood per particle (dotted: other shells compared)", fontsize=9)
        for place in np.flatnonzero(np.diff(history.limit)):
            likelihood.axvline(iteration[place] + 0.5, color=GREY, linestyle=":", linewidth=1)
    _resolutions(resolution, iteration, np.asarray(history.resolution_angstrom, float), shares)
    _class_sizes(sizes, iteration, shares)
    _curve(changes, iteration, changed, "particles that changed class, %")
    changes.set_ylim(bottom=0)
    for axes in (sizes, changes):
        axes.set_xlabel("iteration", fontsize=8)
    if title:
        figure.suptitle(title, fontsize=10)
    return save_figure(figure, path)


def draw_class_shares(path: str | os.PathLike[str], shares: AnyArray, *, title: str = "") -> Path:
    """Draw the shares (k,) of the classes, the largest first, as bars; write a PNG."""
    ordered = 100 * np.sort(np.asarray(shares, float))[::-1]
    figure = new_figure(5.5, 3)
    axes = plain_axes(figure.add_subplot())
    axes.bar(np.arange(1, len(ordered) + 1), ordered, color=ACCENT, width=0.8)
    axes.axhline(100 / len(ordered), color=GREY, linestyle=":", linewidth=1)
    axes.set_xlabel("class, by size", fontsize=8)
    axes.set_ylabel("particles, %", fontsize=8)
    axes.set_title(title or f"{effective_number(shares):.1f} effective classes", fontsize=9)
    return save_figure(figure, path)


def _curve(axes: Axes, x: AnyArray, y: Sequence[float] | AnyArray, label: str) -> None:
    plain_axes(axes).plot(x, np.asarray(y, float), ".-", color=ACCENT, markersize=4)
    axes.set_title(label, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _resolutions(axes: Axes, iteration: AnyArray, resolution: AnyArray, shares: AnyArray) -> None:
    """Best class, and mean over particles, on an axis of spatial frequency labelled in Angstrom."""
    frequency = np.where(np.isfinite(resolution) & (resolution > 0), 1 / np.maximum(resolution, 1e-6), 0.0)
    _curve(axes, iteration, frequency.max(axis=1), "resolution, Å")
    mean = (shares * frequency).sum(axis=1) / np.maximum(shares.sum(axis=1), 1e-12)
    axes.plot(iteration, mean, ".-", color=SECOND, markersize=4)
    axes.legend(["best class", "mean over particles"], fontsize=7, frameon=False)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{1 / value:.1f}" if value > 1e-6 else "∞")


def _class_sizes(axes: Axes, iteration: AnyArray, shares: AnyArray) -> None:
    k = shares.shape[1]
    _curve(axes, iteration, effective_number(shares), f"classes, of {k}")
    populated = (shares > 0.1 / k).sum(axis=1)
    axes.plot(iteration, populated, ".-", color=SECOND, markersize=4)
    axes.plot(iteration, 100 * shares.max(axis=1), "--", color=GREY, linewidth=1)
    axes.legend(
        ["effective number", "above a tenth of the mean size", "largest class, % of particles"],
        fontsize=7,
        frameon=False,
    )
    axes.set_ylim(bottom=0)
