"""Images brought to another grid of pixels."""

import numpy as np
import pytest

from boxwood.imaging.regrid import regridded


def blob(box, pixel, x=21.0, y=-13.0, width=14.0):
    """A Gaussian (Angstrom), in units of noise that is white at any pixel size."""
    at = (np.arange(box) - box // 2) * pixel
    return pixel * np.exp(-0.5 * ((at[:, None] - y) ** 2 + (at - x) ** 2) / width**2)[None]


@pytest.mark.parametrize(("box", "pixel"), [(64, 3.0), (36, 5.5), (33, 6.1), (72, 3.1), (48, 4.0)])
def test_what_was_drawn_on_one_grid_is_that_of_another(box, pixel):
    got = regridded(blob(box, pixel), pixel, 48, 4.0)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, blob(48, 4.0), atol=2e-4 * 4)


def test_beyond_a_smaller_box_there_is_nothing():
    got = regridded(np.ones((1, 20, 20)), 4.0, 48, 4.0)
    assert abs(got[0, :8]).max() < 0.2 and got[0, 20:28, 20:28].mean() == pytest.approx(1, abs=0.02)


def test_white_noise_keeps_its_power_at_the_frequencies_of_both():
    noise = np.random.default_rng(0).standard_normal((40, 64, 64))
    got = regridded(noise, 3.0, 48, 4.0)
    power = (np.abs(np.fft.fft2(got)) ** 2).mean(axis=0) / 48**2
    inner = power[:20, 1:20]
    assert inner.mean() == pytest.approx(1, abs=0.03)
