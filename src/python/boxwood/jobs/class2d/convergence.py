"""How a classification converges: one row of numbers per iteration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.typing import AnyArray

if TYPE_CHECKING:
    from boxwood.class2d import IterationResult

COLUMNS = (
    "iteration",
    "log_likelihood",
    "largest_probability",
    "entropy",
    "changed_classes",
    "changed_psi_deg",
    "changed_offset_px",
    "resolution_angstrom",
    "half_set_resolution_angstrom",
    "accuracy_psi_deg",
    "accuracy_offset_px",
    "effective_classes",
    "populated_classes",
    "largest_class",
    "refilled_classes",
)


def empty_history() -> AnyArray:
    """(0, columns)"""
    return np.zeros((0, len(COLUMNS)))


def add_iteration(history: AnyArray, result: IterationResult) -> AnyArray:
    """The history with the row of `result`; rows of this and later iterations are replaced."""
    from boxwood.class2d.measures import overall_accuracies

    model = result.model
    particles = int((result.assignments.class_index >= 0).sum())
    row = (
        result.iteration,
        result.log_likelihood,
        result.largest_probability,
        result.entropy,
        result.changed_classes,
        result.changed_psi_deg,
        result.changed_offset_px,
        result.resolution_angstrom.min(),
        result.frc_resolution_angstrom.min(),
        *overall_accuracies(result.measures, model.shares),
        model.effective_classes,
        # A class is populated if a particle's worth of probability is in it.
        int((model.shares * max(particles, 1) >= 1).sum()),
        model.shares.max(),
        model.refilled,
    )
    return np.vstack([history[history[:, 0] < result.iteration], row])


def convergence_table(history: AnyArray) -> pd.DataFrame:
    """One row an iteration; log-likelihood, largest probability and entropy are means over particles.

    Resolutions and accuracies are those of the best class, infinite where there is none.
    """
    table = pd.DataFrame(history, columns=list(COLUMNS))
    whole = ["iteration", "populated_classes", "refilled_classes"]
    return table.astype(dict.fromkeys(whole, int))
