"""RELION's random numbers: those of this computer's own C library."""

import ctypes
import platform

import numpy as np
import pytest

from boxwood.picking.templates.relion_noise import normals, numbers_for, rand


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize("seed", [0, 1, 2, 12345, 2**31 - 1])
def test_rand_is_that_of_glibc(seed):
    libc = ctypes.CDLL(None)
    libc.srand(seed)
    expected = [libc.rand() for _ in range(1000)]
    np.testing.assert_array_equal(rand(seed, 1000), expected)
    np.testing.assert_array_equal(rand(seed, 3), expected[:3])


def test_normals_are_normal_and_pairs_are_not_torn():
    numbers, none = normals(5, 20_000)
    assert none.size == 0
    assert abs(numbers.mean()) < 0.03 and abs(numbers.std() - 1) < 0.02
    odd, left_over = normals(5, 19_999)
    np.testing.assert_array_equal(np.concatenate([odd, left_over]), numbers)


def test_what_is_left_over_goes_to_the_next_micrograph():
    """As one generator would draw them, micrograph by micrograph."""
    left_over = None
    for place in range(5):
        expected, left_over = normals(3 + place, 101, left_over)
        np.testing.assert_array_equal(numbers_for(3, place, 101), expected)
