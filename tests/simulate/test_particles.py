"""Simulated particles: what is said about them is true."""

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.errors import InputError
from boxwood.imaging.fourier import forward, frequency_grid, inverse, shift
from boxwood.imaging.masks import soft_circle
from boxwood.simulate import GaussianPhantom, simulate_particles

LOPSIDED = GaussianPhantom(np.random.default_rng(3).uniform(-30, 30, (40, 3)), 6.0)


def simulate(**settings):
    return simulate_particles(
        **{"n": 6, "box_px": 48, "pixel_size_angstrom": 3.0, "density": LOPSIDED, **settings}
    )


def test_equal_seeds_give_equal_particles():
    first, again, other = simulate(seed=4), simulate(seed=4), simulate(seed=5)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.ctf_rows, again.ctf_rows)
    assert not np.array_equal(first.images, other.images)


def test_offsets_are_what_centres_the_image():
    """Moved by its offset, an image is the projection of the centred particle."""
    particles = simulate(ctf=False, snr=1e12)
    assert np.abs(particles.offsets_px).max() > 1
    centred = shift(particles.images, particles.offsets_px)
    for image, number in zip(centred, particles.class_index, strict=True):
        psi = particles.angles_deg[number, 2]
        np.testing.assert_allclose(image, turned(particles.references[number], psi), atol=0.05 * image.max())


def turned(reference, psi_deg):
    """Sample the reference at R(psi) x, R turning x towards y, bilinearly."""
    n = len(reference)
    y, x = np.mgrid[:n, :n] - n // 2
    c, s = np.cos(np.deg2rad(psi_deg)), np.sin(np.deg2rad(psi_deg))
    px, py = c * x - s * y + n // 2, s * x + c * y + n // 2
    ix, iy = np.floor(px).astype(int), np.floor(py).astype(int)
    fx, fy = px - ix, py - iy
    padded = np.pad(reference, n)
    at = lambda j, i: padded[np.clip(j + n, 0, 3 * n - 1), np.clip(i + n, 0, 3 * n - 1)]  # noqa: E731
    return (1 - fy) * ((1 - fx) * at(iy, ix) + fx * at(iy, ix + 1)) + fy * (
        (1 - fx) * at(iy + 1, ix) + fx * at(iy + 1, ix + 1)
    )


def test_images_of_a_class_share_the_view():
    particles = simulate(n=30, classes=3)
    assert set(particles.class_index) == {0, 1, 2}
    assert particles.references.shape == (3, 48, 48)
    np.testing.assert_array_equal(particles.angles_deg[:, :2], particles.views_deg[particles.class_index])


def test_ctf_multiplies_the_transform():
    with_ctf = simulate(snr=1e12, seed=1)
    without = simulate(snr=1e12, seed=1, ctf=False)
    grid = frequency_grid((48, 48), 3.0)
    values = get_backend("reference").ctf(with_ctf.ctf_rows, grid.reshape(-1, 2), 0, 1).reshape(6, 48, 25)
    expected = inverse(forward(without.images) * values, (48, 48))
    gain = (with_ctf.images * expected).sum() / (expected**2).sum()
    np.testing.assert_allclose(with_ctf.images, gain * expected, atol=1e-4 * with_ctf.images.max())


@pytest.mark.parametrize("snr", [0.05, 1.0])
def test_snr_is_as_asked(snr):
    """Equal seeds share the noise, so twins of different SNR separate signal and noise exactly."""
    settings = {"n": 400, "seed": 2}
    low, high = simulate(snr=snr, **settings).images, simulate(snr=4 * snr, **settings).images
    signal = high - low  # sqrt(4 snr) - sqrt(snr) = sqrt(snr) times the pattern of unit mean square
    noise = low - signal
    disc = soft_circle((48, 48), LOPSIDED.diameter_angstrom / 6, 0) > 0
    assert np.mean(signal[:, disc].astype(float) ** 2) == pytest.approx(snr, rel=1e-3)
    assert noise.var() == pytest.approx(1, rel=0.02)


def test_given_ctf_rows_are_used():
    rows = np.tile([9000.0, 8500, 30, 0, 300, 2.7, 0.1, 0, 1], (6, 1))
    np.testing.assert_array_equal(simulate(ctf=rows).ctf_rows, rows)
    with pytest.raises(InputError, match=r"need \(6, 9\)"):
        simulate(ctf=rows[:2])


@pytest.mark.parametrize("wrong", [{"n": 0}, {"snr": 0}, {"pixel_size_angstrom": -1}, {"classes": 0}])
def test_senseless_numbers_are_refused(wrong):
    with pytest.raises(InputError):
        simulate(**wrong)
