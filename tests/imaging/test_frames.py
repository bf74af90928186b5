"""Coordinates on reduced micrographs and micrographs upside down, and images turned over."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from boxwood.imaging.frames import from_reduced, to_reduced, turned_over, turned_over_images

NUMBERS = st.floats(-1e4, 1e5)


@given(value=NUMBERS, binning=st.floats(0.1, 16), averaged=st.booleans())
def test_reduced_there_and_back(value, binning, averaged):
    again = from_reduced(to_reduced(value, binning, averaged), binning, averaged)
    np.testing.assert_allclose(again, value, rtol=1e-12, atol=1e-10)


def test_the_first_pixel():
    """Averages of four pixels lie between the second and third of them."""
    assert from_reduced([0, 1], 4).tolist() == [0, 4]
    assert from_reduced([0, 1], 4, averaged=True).tolist() == [1.5, 5.5]


@given(y=NUMBERS, height=st.integers(1, 10000))
def test_turned_over_twice(y, height):
    assert turned_over(turned_over(y, height), height) == pytest.approx(y, abs=1e-9)


def test_rows_are_where_coordinates_say():
    image = np.arange(7 * 3).reshape(7, 3)
    for y in range(7):
        assert image[::-1][int(turned_over(y, 7)), 1] == image[y, 1]


SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 5))


@given(image=arrays(np.float32, SHAPES, elements=st.floats(-9, 9, width=32)))
def test_images_turn_around_their_origins(image):
    turned = turned_over_images(image)
    origin, n = image.shape[1] // 2, image.shape[1]
    for row in range(n):
        opposite = 2 * origin - row
        if 0 <= opposite < n:
            np.testing.assert_array_equal(turned[:, opposite], image[:, row])
    np.testing.assert_array_equal(turned_over_images(turned), image)
