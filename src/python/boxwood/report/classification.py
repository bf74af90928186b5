"""Pictures of a 2D classification: its averages, and how it converges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from boxwood.imaging.montage import grey_levels, montage
from boxwood.typing import AnyArray

CELL_INCHES = 1.2


def draw_class_averages(
    path: Path,
    averages: AnyArray,
    share: npt.ArrayLike,
    resolution_angstrom: npt.ArrayLike,
    title: str,
    columns: int = 10,
) -> None:
    """Draw all class averages, the largest class first, with number, share and resolution; write a PNG.

    Parameters
    ----------
    path : Path
    averages : (K, box, box)
    share, resolution_angstrom : (K,)
        The resolution may be infinite.
    title : str
    columns : int
    """
    share, resolution = np.asarray(share), np.asarray(resolution_angstrom)
    order = np.argsort(-share, kind="stable")
    columns, box = min(columns, len(order)), averages.shape[-1]
    gap = max(4, box // 5)  # room for the line of text above each image
    sheet = montage(np.array([grey_levels(averages[k]) for k in order]), columns, gap)
    sheet = np.pad(sheet, ((gap, 2), (2, 2)), constant_values=1.0)
    inches = np.array(sheet.shape[::-1]) * CELL_INCHES / (box + gap)
    figure = Figure(figsize=(inches[0], inches[1] + 0.4), layout="constrained")
    axes = figure.subplots()
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)
    for place, k in enumerate(order):
        y, x = gap + (place // columns) * (box + gap), 2 + (place % columns) * (box + gap)
        detail = f"{resolution[k]:.0f} Å" if np.isfinite(resolution[k]) else "–"
        label = f"{k + 1}: {100 * share[k]:.1f} %, {detail}"
        axes.text(x + box / 2, y - gap / 8, label, fontsize=6, ha="center", va="bottom")
    figure.savefig(path, dpi=150)


def draw_convergence(path: Path, history: pd.DataFrame, classes: int) -> None:
    """Draw log-likelihood, resolution, class sizes and changed assignments over iterations; write a PNG.

    Parameters
    ----------
    path : Path
    history : DataFrame
        One row an iteration: iteration, log_likelihood, resolution_angstrom, effective_classes,
        populated_classes, largest_class, changed_classes, largest_probability.
    classes : int
    """
    history = history[history["iteration"] > 0]
    figure = Figure(figsize=(8, 6), layout="constrained")
    likelihood, resolution, sizes, changes = figure.subplots(2, 2, sharex=True).ravel()
    iteration = history["iteration"]
    likelihood.plot(iteration, history["log_likelihood"], ".-")
    likelihood.set_ylabel("log-likelihood per particle")
    finite = history[np.isfinite(history["resolution_angstrom"])]
    resolution.plot(finite["iteration"], finite["resolution_angstrom"], ".-")
    resolution.invert_yaxis()
    resolution.set_ylabel("resolution of the best class (Å)")
    sizes.plot(iteration, history["populated_classes"], ".-", label="populated")
    sizes.plot(iteration, history["effective_classes"], ".-", label="exp(entropy of shares)")
    sizes.set_ylim(0, 1.05 * classes)
    sizes.set_ylabel(f"classes, of {classes}")
    sizes.legend(fontsize=8)
    changes.plot(iteration, 100 * history["changed_classes"], ".-", label="changed class")
    changes.plot(iteration, 100 * history["largest_probability"], ".-", label="largest probability, mean")
    changes.set_ylim(0, 105)
    changes.set_ylabel("%")
    changes.legend(fontsize=8)
    for axes in (sizes, changes):
        axes.set_xlabel("iteration")
    figure.savefig(path, dpi=120)
