"""Matching of picks with known particles."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxwood.picking.agreement import Agreement, agreement

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=5).map(
    lambda points: np.array(points, float).reshape(-1, 2)
)


def largest_matching(picks, particles, distance):
    """Try every assignment of the fewer to the more."""
    if len(picks) > len(particles):
        picks, particles = particles, picks
    near = [[np.hypot(*(a - b)) <= distance for b in particles] for a in picks]
    orders = itertools.permutations(range(len(particles)), len(picks))
    return max((sum(near[i][j] for i, j in enumerate(order)) for order in orders), default=0)


@given(POINTS, POINTS, st.integers(0, 4))
def test_as_many_as_possible(picks, particles, distance):
    found = agreement(picks, particles, distance)
    assert found == Agreement(len(picks), len(particles), largest_matching(picks, particles, distance))


def test_shares_and_sums():
    total = Agreement(10, 8, 6) + Agreement(0, 4, 0)
    assert (total.precision, total.recall) == (0.6, 0.5)
    assert Agreement().precision == Agreement().recall == 0
