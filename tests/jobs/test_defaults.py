"""Sizes derived from the diameter: the tutorial's, and sensible ones everywhere."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boxwood.imaging.polar import good_length
from boxwood.jobs.defaults import classes_for, sizes_for


def test_the_tutorial():
    sizes = sizes_for(180, 0.885)
    assert (sizes.box_px, sizes.rescaled_px, sizes.mask_angstrom) == (256, 64, 200)
    assert sizes.background_px == 203


@given(st.floats(30, 2000), st.floats(0.3, 12))
@example(700.0, 2.7)  # 360 pixels of 2.7 are a last bit more than 270 of 3.6
def test_everything_fits(diameter, pixel_size):
    sizes = sizes_for(diameter, pixel_size)
    box = sizes.box_px * pixel_size
    assert sizes.box_px % 2 == 0 and box >= 1.25 * diameter * (1 - 1e-12)
    assert diameter <= sizes.mask_angstrom
    assert sizes.background_px <= sizes.box_px
    if sizes.rescaled_px is not None:
        assert sizes.rescaled_px % 2 == 0 and sizes.rescaled_px < sizes.box_px
        # Two roundings there, two here, each of half an epsilon.
        assert box / sizes.rescaled_px <= 3.6 * (1 + 2 * sys.float_info.epsilon)


@pytest.mark.parametrize(
    ("at_least", "size"), [(0.5, 2), (7, 8), (11, 12), (13, 16), (254.2, 256), (257, 270)]
)
def test_fast_sizes(at_least, size):
    assert good_length(at_least, 2) == size


def test_classes():
    assert [classes_for(n) for n in (5, 400, 2374, 10**6)] == [1, 10, 50, 50]
