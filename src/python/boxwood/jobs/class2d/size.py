"""How large the files of an iteration will be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxwood.io.star_format import format_table
from boxwood.jobs.room import check_room

if TYPE_CHECKING:
    from boxwood.class2d import Class2DParameters
    from boxwood.jobs.class2d.particles import ParticleData
    from boxwood.jobs.context import JobContext

_ROWS = 500  # of the particles, whose text is measured
_NUMBER = 13  # characters of a STAR file
# Columns that a classification adds to a particles.star, and what its state has of a particle beside the CTF.
_ADDED = (
    *("rlnGroupNumber", "rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"),
    *("rlnClassNumber", "rlnNormCorrection", "rlnLogLikeliContribution", "rlnMaxValueProbDistribution"),
    "rlnNrOfSignificantSamples",
)
_STATE_BYTES = 61
_OTHERS = 20_000  # bytes of what does not grow: the optimiser, headers


def iteration_bytes(data: ParticleData, box_px: int, classes: int, dialect: str) -> float:
    """Bytes of one iteration's files, to a few percent."""
    table, shells = data.particles.table, box_px // 2 + 1
    sample = table.iloc[:: max(1, len(table) // _ROWS)]
    row = sum(map(len, format_table("", sample))) / len(sample)
    row += _NUMBER * sum(label not in table for label in _ADDED)
    state: float = _STATE_BYTES
    if data.ctf_rows is not None:
        state += 8 * int((data.ctf_rows != data.ctf_rows[0]).any(axis=0).sum())
    noise = len(data.group_names) if dialect == "3.1" else len(np.unique(data.optics_group))
    spectra = (6 * classes + 3 * noise) * shells * _NUMBER
    return _OTHERS + len(table) * (row + state) + spectra + classes * 4 * box_px**2


def check_iterations_fit(
    data: ParticleData,
    box_px: int,
    parameters: Class2DParameters,
    first: int,
    write_every: int,
    context: JobContext,
) -> None:
    """Refuse to begin where not one iteration fits on the disk; warn where not all after `first` do."""
    one = iteration_bytes(data, box_px, parameters.classes, context.dialect)
    every = 1 if parameters.algorithm == "em" else write_every
    count = -(-(parameters.last_iteration - first) // every) + (first == 0)
    who, remedy = f"of {len(data.particles)} particles", "remove iterations that are needed no more"
    check_room(context, one, f"the files of one iteration {who}", remedy)
    check_room(context, count * one, f"the files of {count} iterations {who}", remedy, sure=False)
