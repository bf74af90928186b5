"""Coordinates of refined particles."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxwood.extraction import recentred_coordinates

number = st.floats(-500, 500, allow_subnormal=False)


@given(x=number, dx=number)
def test_the_particle_stays_where_it_is(x, dx):
    coordinates, offsets = recentred_coordinates([[x, 0]], [[dx, 0]])
    assert abs((coordinates - offsets)[0, 0] - (x - dx)) <= 1e-12 * 1000
    assert np.abs(offsets).max() <= 0.5
    assert (coordinates[0, 0] - x) == np.rint(coordinates[0, 0] - x) or abs(x) > 1e-3


def test_halves_go_away_from_zero():
    coordinates, offsets = recentred_coordinates([[10, 10]], [[2.5, -2.5]])
    assert coordinates.tolist() == [[7, 13]]
    assert offsets.tolist() == [[-0.5, 0.5]]
