"""Duplicates: the tree against the scan of all pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import InputError
from boxwood.picking.duplicates import without_duplicates


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
