"""Centring: exact where it can be, mass kept, negative pixels without a say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from boxwood.imaging.centring import centre_of_mass, recentre

EPS = np.finfo(np.float32).eps


def blob(box, y, x, sigma=2.0):
    rows, columns = np.ogrid[:box, :box]
    return np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))


@given(st.integers(24, 33), st.integers(-4, 4), st.integers(-4, 4))
def test_whole_pixel_shift_is_exact(box, dy, dx):
    image = np.zeros((box, box), np.float32)
    image[box // 2 + dy, box // 2 + dx] = 3
    np.testing.assert_array_equal(centre_of_mass(image[None])[0], [dy, dx])
    expected = np.zeros_like(image)
    expected[box // 2, box // 2] = 3
    np.testing.assert_array_equal(recentre(image[None])[0], expected)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_centred_after_recentring(dy, dx):
    box = 48
    image = np.where(blob(box, 24 + dy, 24 + dx) > 1e-3, blob(box, 24 + dy, 24 + dx), 0)[None]
    moved = recentre(image)
    # linear interpolation keeps the first moment; what is left is float32 rounding over the box
    np.testing.assert_allclose(centre_of_mass(moved), 0, atol=box * EPS * 4)
    np.testing.assert_allclose(moved.sum(), image.sum(), rtol=box * EPS)


def test_half_a_pixel_is_the_mean_of_neighbours():
    image = np.zeros((1, 8, 8), np.float32)
    image[0, 4, 4:6] = [1, 1]
    np.testing.assert_array_equal(recentre(image)[0, 4, 3:7], [0.5, 1.0, 0.5, 0.0])


def test_only_positive_pixels_count():
    image = np.zeros((2, 16, 16), np.float32)
    image[0, 8, 8], image[0, 2, 2] = 1, -50
    np.testing.assert_array_equal(recentre(image), image)  # the second has no positive pixel: left alone
