"""Picks against known particles."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

from boxwood.typing import AnyArray, IntArray


@dataclass(frozen=True)
class Agreement:
    """How many picks and particles there are, and how many of them are matched; can be added up.

    Attributes
    ----------
    picks, particles, matched : int
    """

    picks: int = 0
    particles: int = 0
    matched: int = 0

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(
            self.picks + other.picks, self.particles + other.particles, self.matched + other.matched
        )

    @property
    def precision(self) -> float:
        """Share of the picks that are particles; 0 without picks."""
        return self.matched / self.picks if self.picks else 0.0

    @property
    def recall(self) -> float:
        """Share of the particles that were picked; 0 without particles."""
        return self.matched / self.particles if self.particles else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = self.picks + self.particles
        return 2 * self.matched / both if both else 0.0


def matched(picks: AnyArray, particles: AnyArray, distance: float) -> IntArray:
    """(n,) particle of each pick, or -1: as `agreement` matches them."""
    n, m = len(picks), len(particles)
    if not n or not m:
        return np.full(n, -1)
    near = cKDTree(picks).query_ball_tree(cKDTree(particles), distance)
    rows = np.repeat(np.arange(n), [len(hits) for hits in near])
    columns = np.array([hit for hits in near for hit in hits], np.int64)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n, m)).tocsr()
    return maximum_bipartite_matching(graph, perm_type="column").astype(np.int64)


def agreement(picks: AnyArray, particles: AnyArray, distance: float) -> Agreement:
    """Match picks with particles at `distance` or nearer, each at most once, as many as possible.

    Parameters
    ----------
    picks : (n, 2), particles : (m, 2)
        Positions on one micrograph.
    distance : float
    """
    return Agreement(len(picks), len(particles), int((matched(picks, particles, distance) >= 0).sum()))
