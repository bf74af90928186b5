"""Which setting of a picker finds most particles and fewest others, from probabilities instead of the truth.

A peak clears its surroundings of lesser ones alone, so the picks of every threshold are the best of one list.
All lists (one per diameter, distance and micrograph) point to a few places, each of which is judged once; so
what any setting is expected to find is a sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from boxwood.picking.duplicates import best_of_duplicates
from boxwood.typing import DoubleArray, IntArray

# Values that differ by this part of them are equal.
_EQUAL = 1e-3


@dataclass(frozen=True)
class Peaks:
    """All peaks of one micrograph, by one setting.

    Attributes
    ----------
    x, y : (n,) float64
        Angstrom.
    level : (n,) float64
        What thresholds cut, higher is better.
    """

    x: DoubleArray
    y: DoubleArray
    level: DoubleArray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Places:
    """Where any setting has a peak on one micrograph, near ones taken together.

    Attributes
    ----------
    x, y : (p,) float64
        Angstrom.
    """

    x: DoubleArray
    y: DoubleArray

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Particles:
    """What is believed to be on one micrograph.

    Attributes
    ----------
    x, y : (m,) float64
        Centres, Angstrom.
    probability : (m,) float64
        Of being a particle.
    """

    x: DoubleArray
    y: DoubleArray
    probability: DoubleArray


@dataclass(frozen=True)
class Curve:
    """What a setting is expected to find at every threshold.

    Attributes
    ----------
    threshold : (t,) float64
        Ascending levels.
    picks : (t,) int
    good : (t,) float64
        Expected number of particles among the picks, each counted once.
    particles : float
        Expected number of all particles.
    """

    threshold: DoubleArray
    picks: IntArray
    good: DoubleArray
    particles: float

    @property
    def precision(self) -> DoubleArray:
        """Expected share of the picks that are particles; 1 without picks."""
        return np.where(self.picks > 0, self.good / np.maximum(self.picks, 1), 1.0)

    @property
    def recall(self) -> DoubleArray:
        """Expected share of the particles that are picked."""
        return self.good / max(self.particles, 1e-9)

    @property
    def f1(self) -> DoubleArray:
        """The harmonic mean of both, 2 good / (picks + particles)."""
        return 2 * self.good / np.maximum(self.picks + self.particles, 1e-9)

    def value(self, penalty: float | None = None) -> DoubleArray:
        """What is to be largest: `f1`, or good picks less `penalty` times the others."""
        return self.f1 if penalty is None else self.good - penalty * (self.picks - self.good)

    def best(self, penalty: float | None = None) -> int:
        """Index of the best threshold: the middle one of those that are as good but for a thousandth."""
        value = self.value(penalty)
        good = np.flatnonzero(value >= value.max() - _EQUAL * abs(value.max()))
        return int(good[len(good) // 2])


def gather(lists: Sequence[Peaks], distance: float) -> Places:
    """Take the peaks of all settings on one micrograph together.

    A peak that stands highest in its own list stays, and takes the place of all at `distance` (Angstrom) or
    nearer.
    """
    x, y = (np.concatenate([getattr(peaks, axis) for peaks in lists] or [np.zeros(0)]) for axis in "xy")
    standing = [1 - np.argsort(np.argsort(-p.level, kind="stable")) / max(len(p), 1) for p in lists]
    rank = np.concatenate([*standing, np.zeros(0)])
    stays = best_of_duplicates(x, y, np.zeros(len(x)), distance, rank) < 0
    return Places(x[stays], y[stays])


def distinct(x: DoubleArray, y: DoubleArray, probability: DoubleArray, distance: float) -> Particles:
    """The likeliest of places that are, once centred, at `distance` or nearer, and so no two particles."""
    stays = best_of_duplicates(x, y, np.zeros(len(x)), distance, probability) < 0
    return Particles(x[stays], y[stays], probability[stays])


def gains(peaks: Peaks, particles: Particles, distance: float) -> DoubleArray:
    """(n,) the probability that each peak finds a particle that no better peak of the list has found.

    A peak finds the likeliest particle at `distance` (Angstrom) or nearer.
    """
    found = np.zeros(len(peaks))
    if not len(peaks) or not len(particles.x):
        return found
    near = cKDTree(np.column_stack([particles.x, particles.y])).query_ball_point(
        np.column_stack([peaks.x, peaks.y]), distance
    )
    free = particles.probability.copy()
    for i in np.argsort(-peaks.level, kind="stable"):
        if near[i]:
            best = max(near[i], key=free.__getitem__)
            found[i], free[best] = free[best], 0.0
    return found


def expected(
    lists: Mapping[str, Peaks],
    particles: Mapping[str, Particles],
    thresholds: DoubleArray,
    distance: float,
) -> Curve:
    """What a setting finds at ascending `thresholds`.

    Parameters
    ----------
    lists : mapping of micrograph to Peaks
    particles : mapping of micrograph to Particles
    thresholds : (t,)
        A pick has this level or more.
    distance : float
        Farthest from a particle's centre that a pick of it may be, Angstrom.
    """
    level = np.concatenate([*(peaks.level for peaks in lists.values()), np.zeros(0)])
    gain = np.concatenate([*(gains(lists[name], particles[name], distance) for name in lists), np.zeros(0)])
    order = np.argsort(-level, kind="stable")
    # Places in the descending levels where each threshold cuts.
    picks = np.searchsorted(-level[order], -thresholds, side="right")
    good = np.concatenate([[0.0], np.cumsum(gain[order])])[picks]
    total = float(sum(p.probability.sum() for p in particles.values()))
    return Curve(np.asarray(thresholds, np.float64), picks, good, total)
