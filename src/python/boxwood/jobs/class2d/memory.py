"""What a classification takes of memory beside the transforms of its particles."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boxwood.class2d import Class2DParameters
    from boxwood.jobs.class2d.particles import ParticleData

# Of each particle beside its row of the table: CTF, groups, assignments before and after, and what of them
# is being written (benchmarks/bench_memory.py).
_PARTICLE_BYTES = 600
_LEAST_GIB = 1e-3


def with_room_for_rows(parameters: Class2DParameters, data: ParticleData) -> Class2DParameters:
    """Parameters with the memory that the rows of the particles leave to the transforms."""
    rows = rows_gib(data)
    return replace(parameters, memory_gib=max(parameters.memory_gib - rows, _LEAST_GIB))


def rows_gib(data: ParticleData) -> float:
    """Memory in GiB that the rows of the particles take, whatever their images."""
    table = data.particles.table
    taken: float = table.memory_usage(index=False, deep=True).sum() + _PARTICLE_BYTES * len(table)
    return taken / 2**30
