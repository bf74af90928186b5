"""Tables of our own in model.star and optimiser.star; RELION's programs pass over tables they do not know.

Labels of our own in RELION's tables would have it print a warning for every class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxwood.io.star import Table
from boxwood.io.star_format import Columns
from boxwood.jobs.class2d.convergence import convergence_table
from boxwood.typing import AnyArray

if TYPE_CHECKING:
    from boxwood.class2d import IterationResult


def class_tables(result: IterationResult) -> dict[str, Table | Columns]:
    """`boxwood_classes`, a row per class, and `boxwood_frc`, a row per class and ring, for model.star.

    Where there is no such number it is -1, for STAR files have none that says so.
    """
    measures = result.measures
    k, rings = measures.frc.shape
    length = result.model.references.shape[1] * result.pixel_size_angstrom
    ring = np.tile(np.arange(1, rings + 1), k)
    classes = {
        "rlnClassNumber": np.arange(1, k + 1),
        "bwEffectiveSampleSize": _known(measures.effective_size),
        "bwAssignmentEntropy": _known(measures.assignment_entropy),
        "bwHalfSetResolution": _known(result.frc_resolution_angstrom),
    }
    frc = {
        "rlnClassNumber": np.repeat(np.arange(1, k + 1), rings),
        "rlnSpectralIndex": ring,
        "rlnAngstromResolution": length / ring,
        "bwHalfSetFrc": _known(measures.frc.ravel()),
    }
    return {"boxwood_classes": classes, "boxwood_frc": frc} if result.iteration else {}


def convergence_tables(history: AnyArray) -> dict[str, Table | Columns]:
    """`boxwood_convergence`, a row per iteration up to this one, for optimiser.star."""
    table = convergence_table(history).replace(np.inf, -1.0)
    table = table.rename(columns=lambda name: "bw" + "".join(word.capitalize() for word in name.split("_")))
    return {"boxwood_convergence": table.rename(columns={"bwIteration": "rlnCurrentIteration"})}


def _known(values: AnyArray) -> AnyArray:
    return np.where(np.isfinite(values), values, -1.0)
