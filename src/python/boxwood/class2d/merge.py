"""Merging of classes that show one view: docs/class2d.md, "Duplicates"."""

from dataclasses import dataclass, replace

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.expectation import samples_of
from boxwood.class2d.model import Model
from boxwood.class2d.statistics import Statistics
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray

# Averages are laid over each other on few rings, in few turns and shifts, and the most alike then more
# finely: rings, turns (more than twice the harmonics of these rings), and shifts in pixels.
_COARSE_RINGS, _COARSE_TURNS, _COARSE_PX = 12, 90, (-3.0, -1.5, 0.0, 1.5, 3.0)
_FINE_RINGS, _FINE_TURNS, _FINE_PX = 20, 720, (0.75, 0.4, 0.2, 0.1)
# Classes that are compared with all others at a time, which bounds memory.
_BLOCK = 32

Halves = tuple[Statistics, Statistics]


@dataclass(frozen=True)
class Duplicate:
    """Class `other`, turned by `turn_rad` after a shift (x, y) by `shift_px`, looks like class `kept`."""

    kept: int
    other: int
    turn_rad: float
    shift_px: AnyArray


def find_duplicates(
    halves: Halves, model: Model, grid: PolarGrid, backend: Backend, threads: int
) -> list[Duplicate]:
    """Pairs of classes, each class in one at most, whose particles are better described by one average.

    Every class is tried with the one most like it. Equations 15 and 16 of docs/class2d.md.

    Parameters
    ----------
    halves : sums over each half of the particles, in the frame of the averages
    model : Model
        The averages that led to these sums, and their prior.
    """
    populated = np.flatnonzero(np.minimum(halves[0].class_mass, halves[1].class_mass) > 0.5)
    if len(populated) < 2:
        return []
    samples = samples_of(model.references[populated], grid, backend, threads)
    nearest, shifts = _most_alike(_Overlay(samples, grid, _COARSE_RINGS))
    fine, found = _Overlay(samples, grid, _FINE_RINGS), {}
    for i, j in enumerate(nearest):
        pair = frozenset((i, int(j)))
        if pair not in found:
            duplicate = Duplicate(int(populated[j]), int(populated[i]), *_pose(fine, i, int(j), shifts[i]))
            found[pair] = _gain(halves, model, grid, duplicate), duplicate
    chosen: list[Duplicate] = []
    used: set[int] = set()
    for gain, duplicate in sorted(found.values(), key=lambda item: -item[0]):
        if gain > 0 and not used & {duplicate.kept, duplicate.other}:
            used |= {duplicate.kept, duplicate.other}
            chosen.append(duplicate)
    return chosen


def merge(statistics: Statistics, duplicates: list[Duplicate], grid: PolarGrid) -> Statistics:
    """The sums with those of duplicates added to the classes that are kept; nothing is left of the others."""
    names = ("numerator", "denominator", "class_mass", "class_square", "class_entropy")
    sums = {name: getattr(statistics, name).copy() for name in names}
    for d in duplicates:
        sums["numerator"][d.other], sums["denominator"][d.other] = _moved(statistics, d, grid)
        for values in sums.values():
            values[d.kept] += values[d.other]
            values[d.other] = 0
    return replace(statistics, **sums)


class _Overlay:
    """Averages as vectors whose products are correlations over the plane, by the turn between them."""

    def __init__(self, samples: AnyArray, grid: PolarGrid, rings: int) -> None:
        self.grid, self.rings = grid, min(grid.rings, rings)
        self.samples: AnyArray = samples[:, : grid.samples(self.rings)]
        ring, m = grid.packed_order(self.rings)
        self._columns = [np.flatnonzero(m == n) for n in range(m.max() + 1)]
        self._area = np.sqrt(2 * np.pi * (ring + 1))
        length: AnyArray = np.sqrt(((1 + (m > 0)) * np.abs(self.vectors(self.samples)) ** 2).sum(axis=1))
        self.samples = self.samples / np.where(length > 0, length, np.inf)[:, None]
        self.fixed = self.vectors(self.samples)

    def vectors(self, samples: AnyArray) -> AnyArray:
        return self.grid.harmonics(samples, self.rings) * self._area

    def shifted(self, which: AnyArray, shifts: AnyArray) -> AnyArray:
        """Vectors of averages `which`, each shifted (x, y) in pixels."""
        samples = self.samples[which]
        return self.vectors(samples * self.grid.shift_phases(shifts, samples.shape[1]))

    def correlations(self, moved: AnyArray, fixed: AnyArray, turns: int) -> AnyArray:
        """(moved, fixed, turns) correlations with the moved vectors turned clockwise, step by step."""
        products = np.stack([moved[:, c].conj() @ fixed[:, c].T for c in self._columns], axis=-1)
        return np.fft.irfft(products, turns, axis=-1)


def _most_alike(overlay: _Overlay) -> tuple[AnyArray, AnyArray]:
    """Of each average: the other most like it, and the shift (k, 2) in pixels that lays it over that."""
    k = len(overlay.fixed)
    best, nearest, shifts = np.full(k, -np.inf), np.zeros(k, int), np.zeros((k, 2))
    for shift in np.stack(np.meshgrid(_COARSE_PX, _COARSE_PX), axis=-1).reshape(-1, 2):
        for start in range(0, k, _BLOCK):
            some = np.arange(start, min(start + _BLOCK, k))
            moved = overlay.shifted(some, shift[None])
            correlation = overlay.correlations(moved, overlay.fixed, _COARSE_TURNS).max(axis=2)
            correlation[some - start, some] = -np.inf
            partner = correlation.argmax(axis=1)
            value = correlation[some - start, partner]
            better = value > best[some]
            mine = some[better]
            best[mine], nearest[mine], shifts[mine] = value[better], partner[better], shift
    return nearest, shifts


def _pose(overlay: _Overlay, other: int, kept: int, shift: AnyArray) -> tuple[float, AnyArray]:
    """Turn (rad) and shift (x, y) that lay `other` over `kept`, from one that is about right."""
    around = np.stack(np.meshgrid((-1, 0, 1), (-1, 0, 1)), axis=-1).reshape(-1, 2)
    turn = 0.0
    for step in _FINE_PX:
        shifts = shift + step * around
        moved = overlay.shifted(np.full(len(shifts), other), shifts)
        correlation = overlay.correlations(moved, overlay.fixed[[kept]], _FINE_TURNS)[:, 0]
        at, place = np.unravel_index(correlation.argmax(), correlation.shape)
        shift, turn = shifts[at], -2 * np.pi * float(place) / _FINE_TURNS
    return turn, shift


def _moved(statistics: Statistics, d: Duplicate, grid: PolarGrid) -> tuple[AnyArray, AnyArray]:
    """Numerator and denominator of the other class in the frame of the one that is kept."""
    rings = statistics.denominator.shape[1]
    _, m = grid.packed_order(rings)
    samples = grid.from_harmonics(statistics.numerator[d.other, None], rings)
    samples *= grid.shift_phases(d.shift_px[None], samples.shape[1])
    numerator = grid.harmonics(samples, rings)[0] * np.exp(1j * m * d.turn_rad)
    return numerator, statistics.denominator[d.other] * np.exp(1j * np.array([0, 2, 4]) * d.turn_rad)


def _gain(halves: Halves, model: Model, grid: PolarGrid, d: Duplicate) -> float:
    """By how much each half's log-likelihood, twice, is higher if the other half makes one average."""
    rings = halves[0].denominator.shape[1]
    repeats = grid.ring_samples[:rings] // 2
    count = np.repeat(1.0 / grid.ring_samples[:rings], repeats)
    area = np.repeat(2 * np.pi * np.arange(1, rings + 1), repeats) * count
    inverse_tau2 = area / np.repeat(np.maximum(model.tau2[d.kept, :rings], 1e-20), repeats)

    def on_samples(numerator: AnyArray, denominator: AnyArray) -> tuple[AnyArray, AnyArray]:
        low = grid.low_harmonics_on_samples(denominator[None], rings)[0]
        return grid.from_harmonics(numerator[None], rings)[0] * count, np.maximum(low * count, 0.0)

    def predicted(one: tuple[AnyArray, AnyArray], two: tuple[AnyArray, AnyArray]) -> float:
        value = 0.0
        for (n, w), (other_n, other_w) in ((one, two), (two, one)):
            average = n / (w + inverse_tau2)
            value += float((2 * (average.conj() * other_n).real - other_w * np.abs(average) ** 2).sum())
        return value

    kept = [on_samples(h.numerator[d.kept], h.denominator[d.kept]) for h in halves]
    other = [on_samples(*_moved(h, d, grid)) for h in halves]
    both = [(a + b, v + w) for (a, v), (b, w) in zip(kept, other, strict=True)]
    return predicted(*both) - predicted(*kept) - predicted(*other)
