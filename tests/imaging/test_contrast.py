"""Bright or dark particles."""

import numpy as np
import pytest

from boxwood.imaging.contrast import centre_brightness
from boxwood.io.particles import ParticleSet
from boxwood.simulate.particles import simulate_particles


@pytest.mark.parametrize("snr", [0.05, 0.5])
def test_simulated_particles_are_bright(snr):
    images = simulate_particles(300, 48, 4.5, snr=snr, seed=1).images
    assert centre_brightness(images) > 5
    assert centre_brightness(1000 - 50 * images) < -5


def test_noise_is_neither():
    noise = np.random.default_rng(0).standard_normal((500, 32, 32))
    assert abs(centre_brightness(noise)) < 4


def test_images_without_contrast_do_not_count():
    images = simulate_particles(100, 48, 4.5, snr=0.5, seed=1).images
    known = centre_brightness(images)
    empty = np.concatenate(
        [images, np.zeros((9, 48, 48), np.float32), np.full((2, 48, 48), np.nan, np.float32)]
    )
    assert centre_brightness(empty) == pytest.approx(known, rel=1e-6)
    assert centre_brightness(empty[100:]) == 0
    assert centre_brightness(images[:1]) == 0


@pytest.mark.data
def test_real_particles(shared_data):
    """Extracted from beta-galactosidase's micrographs, and inverted."""
    found = ParticleSet.read(shared_data / "bgal10204/particles.star")
    images = found.images().read(slice(0, 500))
    assert centre_brightness(images) > 5
