"""Simulated micrographs: particles are where the truth says, as strong as asked, and dark."""

import numpy as np
import pytest

from boxwood.backends import get_backend
from boxwood.errors import InputError
from boxwood.imaging.fourier import forward, frequency_grid, inverse, window
from boxwood.simulate import GaussianPhantom, simulate_micrograph
from boxwood.simulate.micrographs import place
from boxwood.simulate.rotations import rotation_matrices

BALL = GaussianPhantom(np.random.default_rng(0).normal(0, 12, (60, 3)), 5.0)
NO_CTF = np.array([0.0, 0, 0, 90, 200, 0, 0, 0, 1])  # phase shift of 90 degree: 1 at all frequencies


def simulate(**settings):
    return simulate_micrograph(
        **{"shape": (301, 404), "pixel_size_angstrom": 2.0, "density": BALL, "particles": 12, **settings}
    )


def test_equal_seeds_give_equal_micrographs():
    first, again, other = simulate(seed=4), simulate(seed=4), simulate(seed=(4, 1))
    assert first.image.shape == (301, 404)
    assert first.image.dtype == np.float32
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.x, other.x)


def test_particles_are_dark_and_where_the_truth_says():
    micrograph = simulate(ctf_row=NO_CTF, snr=1e10)
    x, y = micrograph.x, micrograph.y
    assert np.abs(x - np.rint(x)).max() > 0.1
    rotations = rotation_matrices(micrograph.angles_deg)
    expected = np.zeros((301, 404))
    for rotation, cx, cy in zip(rotations, x, y, strict=True):
        # in a frame whose origin is pixel 0 the shift is the coordinate itself
        image = BALL.project(rotation[None], 1024, 2.0, [[cx, cy]])[0]
        expected -= image[512 : 512 + 301, 512 : 512 + 404]
    gain = (micrograph.image * expected).sum() / (expected**2).sum()
    assert gain > 0
    np.testing.assert_allclose(micrograph.image, gain * expected, atol=1e-3 * np.abs(micrograph.image).max())


def test_ctf_is_applied_to_the_whole_micrograph():
    row = np.array([10000.0, 8000, 30, 0, 200, 1.4, 0.1, 40, 1])
    plain = simulate(ctf_row=NO_CTF, snr=1e10, particles=1).image
    seen = simulate(ctf_row=row, snr=1e10, particles=1).image
    shape = (1024, 1024)  # room for the tails, whose wrapping differs from grid to grid
    values = get_backend("reference").ctf(row[None], frequency_grid(shape, 2.0).reshape(-1, 2), 0, 1)
    convolved = inverse(forward(window(plain, shape)) * values.reshape(shape[0], -1), shape)
    expected = window(convolved, plain.shape)
    gain = (seen * expected).sum() / (expected**2).sum()
    assert gain > 0
    assert np.corrcoef(seen.ravel(), expected.ravel())[0, 1] > 0.99


@pytest.mark.parametrize("contaminations", [0, 2])
def test_snr_is_as_asked(contaminations):
    """Equal seeds share the noise, so twins of different SNR separate signal and noise exactly."""
    low = simulate(snr=0.5, contaminations=contaminations)
    high = simulate(snr=2.0, contaminations=contaminations).image
    signal = high - low.image
    inside = np.zeros(signal.shape, bool)
    radius = BALL.diameter_angstrom / 4
    strength = []
    for cx, cy in zip(np.rint(low.x), np.rint(low.y), strict=True):
        disc = np.hypot(np.arange(404) - cx, (np.arange(301) - cy)[:, None]) < radius
        strength.append(np.mean((signal[disc] - signal.mean()) ** 2))
        inside |= disc
    # the mean is taken over the grid of the simulation, a little larger than the micrograph
    assert np.mean(strength) == pytest.approx(0.5, rel=0.02)
    if not contaminations:
        noise = low.image - signal
        # coloured noise: fewer independent pixels than pixels
        assert noise.var() == pytest.approx(1, rel=0.03)


def test_particles_do_not_overlap():
    micrograph = simulate(particles=20)
    distance = np.hypot(*(np.subtract.outer(c, c) for c in (micrograph.x, micrograph.y)))
    assert distance[~np.eye(20, dtype=bool)].min() >= BALL.diameter_angstrom / 2.0


def test_too_many_particles_are_refused():
    with pytest.raises(InputError, match=r"only \d+ of 1000 particles found room"):
        place(1000, (300, 300), margin=20, distance=40, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="does not fit"):
        simulate(shape=(40, 400))


def test_empty_micrographs_are_noise():
    micrograph = simulate(particles=0)
    assert len(micrograph.x) == 0
    assert micrograph.image.var() == pytest.approx(1, rel=0.03)


def test_gradient_and_contamination_change_the_background_only():
    clean = simulate().image
    np.testing.assert_allclose((simulate(gradient=4).image - clean)[0], np.linspace(-2, 2, 404), atol=1e-5)
    darker = simulate(contaminations=1).image - clean
    assert darker.max() <= 1e-5
    assert darker.min() < -2
