"""Duplicates: the tree against the scan of all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import InputError
from boxwood.picking.duplicates import best_of_duplicates, without_duplicates


def scan(x, y, micrograph, distance):
    """The rule word for word: gone if a later one of the same micrograph is at `distance` or nearer."""
    n = len(x)
    return np.array(
        [
            not any(
                micrograph[i] == micrograph[j] and (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 <= distance**2
                for j in range(i + 1, n)
            )
            for i in range(n)
        ],
        dtype=bool,
    )


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from("abc")), max_size=40),
    st.integers(0, 8),
)
def test_same_as_the_scan(particles, distance):
    x, y, names = ([p[k] for p in particles] for k in range(3))
    np.testing.assert_array_equal(without_duplicates(x, y, names, distance), scan(x, y, names, distance))


def test_a_chain_leaves_its_end():
    stays = without_duplicates([0, 10, 20, 30], [0, 0, 0, 0], ["m"] * 4, 10)
    assert stays.tolist() == [False, False, False, True]


def test_refuses_what_has_no_distance():
    with pytest.raises(InputError, match="particle 2"):
        without_duplicates([0.0, np.nan], [0.0, 1.0], ["m", "m"], 5)
    with pytest.raises(InputError, match="-1"):
        without_duplicates([0.0], [0.0], ["m"], -1)


@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.integers(0, 12), st.sampled_from("abc"), st.integers(0, 5)),
        max_size=40,
    ),
    st.integers(0, 8),
)
def test_the_best_stand_for_those_around_them(particles, distance):
    x, y, names, score = (np.array([p[k] for p in particles]) for k in range(4))
    stands_in = best_of_duplicates(x, y, names, distance, score)

    def near(i, j):
        return names[i] == names[j] and (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 <= distance**2

    stays = np.flatnonzero(stands_in < 0)
    assert not any(near(i, j) for i in stays for j in stays if i < j)
    for gone in np.flatnonzero(stands_in >= 0):
        better = stands_in[gone]
        assert better in stays and near(gone, better)
        assert (score[better], -better) > (score[gone], -gone)


def test_the_end_of_a_chain_stays_when_its_middle_is_best():
    assert best_of_duplicates([0, 10, 20], [0, 0, 0], ["m"] * 3, 10, [1, 3, 2]).tolist() == [1, -1, 1]
    assert best_of_duplicates([0, 10, 20], [0, 0, 0], ["m"] * 3, 10, [2, 1, 3]).tolist() == [-1, 2, -1]
