"""Mini-batches: expectation-maximisation whose sums run over a few particles at a time and forget slowly.

Equations 17 and 18 of docs/class2d.md, "Mini-batches".
"""

from dataclasses import dataclass, replace

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.expectation import samples_of
from boxwood.class2d.maximisation import centring_shifts
from boxwood.class2d.model import Model
from boxwood.class2d.parameters import Class2DParameters
from boxwood.class2d.statistics import Statistics
from boxwood.imaging.fourier import shift
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray

# Particles per class of a mini-batch, and of what the sums remember, at first.
_BATCH, _MEMORY = 25, 100
_SMALLEST_BATCH = 200
# What the sums remember grows to this many particles per class, or all, between these shares of the
# mini-batches; and mini-batches with it, to one of so many parts of it.
_LARGEST_MEMORY, _GROWTH, _PARTS = 2000, (0.3, 0.8), 10
# Averages are centred only when off by more than this: what moves rarely is rarely interpolated.
_CENTRING_PX = 1.0


@dataclass(frozen=True)
class MiniBatches:
    """How mini-batches are made and remembered; the last of them is the whole set.

    Attributes
    ----------
    first : int
        Iteration after which the schedule begins.
    count : int
        Iterations of the schedule, the last one included.
    size : int
        Particles of the first.
    growing : bool
        Whether later ones have more.
    memory, largest_memory : int
        Particles that the sums of several stand for, at first and in the end.
    """

    first: int
    count: int
    size: int
    growing: bool
    memory: int
    largest_memory: int

    @classmethod
    def of(cls, parameters: Class2DParameters) -> "MiniBatches":
        """As many particles as are given, or 25 a class and at least 200, and then more."""
        k = parameters.classes
        size = parameters.batch_size or max(_SMALLEST_BATCH, _BATCH * k)
        memory = max(size, _MEMORY * k)
        largest = max(memory, _LARGEST_MEMORY * k)
        growing = parameters.batch_size is None
        return cls(parameters.restarted, parameters.mini_batches, size, growing, memory, largest)

    def is_last(self, iteration: int) -> bool:
        """Whether an iteration is the one over the whole set."""
        return iteration == self.first + self.count

    def memory_at(self, iteration: int, particles: int) -> int:
        """How many of the `particles` the sums of an iteration stand for: ever more, by even factors."""
        first, last = _GROWTH
        place = (iteration - self.first) / self.count
        grown = min(max((place - first) / (last - first), 0.0), 1.0)
        largest = max(self.memory, min(self.largest_memory, particles))
        return min(round(self.memory * (largest / self.memory) ** grown), particles)

    def size_at(self, iteration: int, particles: int) -> int:
        """How many of the `particles` one iteration takes."""
        if self.is_last(iteration):
            return particles
        part = self.memory_at(iteration, particles) // _PARTS if self.growing else 0
        return min(max(self.size, part), particles)

    def sums(
        self, iteration: int, before: Statistics | None, fresh: Statistics, grid: PolarGrid, particles: int
    ) -> Statistics:
        """The running sums (17): those before, faded, and the fresh ones. The whole set needs no memory."""
        if before is None or self.is_last(iteration):
            return fresh
        fade = max(0.0, 1.0 - fresh.count / self.memory_at(iteration, particles))
        return _with_rings(before, fresh.denominator.shape[1], grid).scaled(fade) + fresh


def centre(
    model: Model, sums: Statistics, grid: PolarGrid, mask: AnyArray, largest_px: float
) -> tuple[Model, Statistics]:
    """Centre the averages that are off by more than a pixel, and their sums with them."""
    shifts = centring_shifts(model.references, largest_px)
    off = np.hypot(*shifts.T) > _CENTRING_PX
    if not off.any():
        return model, sums
    references, numerator = model.references.copy(), sums.numerator.copy()
    references[off] = shift(references[off], shifts[off]) * mask
    rings = sums.denominator.shape[1]
    samples = grid.from_harmonics(numerator[off], rings)
    numerator[off] = grid.harmonics(samples * grid.shift_phases(shifts[off], samples.shape[1]), rings)
    return replace(model, references=references), replace(sums, numerator=numerator)


def follow(
    sums: Statistics, before: Model, after: Model, grid: PolarGrid, backend: Backend, threads: int
) -> Statistics:
    """Sums that agree with averages which were exchanged: N = D A, D and mass as the new shares say."""
    new = np.any(before.references != after.references, axis=(1, 2))
    if not new.any():
        return sums
    rings = sums.denominator.shape[1]
    mass, denominator, numerator = sums.class_mass.copy(), sums.denominator.copy(), sums.numerator.copy()
    mass[new] = after.shares[new] * mass.sum()
    denominator[new] = after.shares[new, None, None] * denominator.sum(axis=0)
    samples = samples_of(after.references[new], grid, backend, threads)
    ring, _ = grid.packed_order(rings)
    numerator[new] = grid.harmonics(samples, rings) * denominator[new, :, 0].real[:, ring]
    return replace(sums, class_mass=mass, denominator=denominator, numerator=numerator)


def rescale(sums: Statistics, before: Model, after: Model) -> Statistics:
    """Sums for the grey scale as new grey scales would have made them."""
    factor = after.scale / before.scale
    return replace(sums, signal_image=sums.signal_image * factor, signal_model=sums.signal_model * factor**2)


def _with_rings(sums: Statistics, rings: int, grid: PolarGrid) -> Statistics:
    """Sums on another number of rings: further ones are dropped, or nothing is known of them yet."""
    k, had = sums.denominator.shape[:2]
    if had == rings:
        return sums
    both = min(had, rings)
    denominator = np.zeros((k, rings, 3), dtype=np.complex128)
    denominator[:, :both] = sums.denominator[:, :both]
    (ring, harmonic), (new_ring, new_harmonic) = grid.packed_order(had), grid.packed_order(rings)
    table = np.zeros((k, max(had, rings), max(harmonic.max(), new_harmonic.max()) + 1), dtype=np.complex128)
    table[:, ring, harmonic] = sums.numerator
    return replace(sums, denominator=denominator, numerator=table[:, new_ring, new_harmonic])
