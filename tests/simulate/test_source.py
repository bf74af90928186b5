"""Particles made when read: the same with whatever they are read, and what is said of them is true."""

import numpy as np
import pytest

from boxwood.class2d import classify2d
from boxwood.errors import InputError
from boxwood.imaging.masks import soft_circle
from boxwood.simulate import GaussianPhantom, SimulatedSource, beta_galactosidase
from boxwood.simulate.particles import apply_ctf
from boxwood.simulate.rotations import rotation_matrices

BOX, PIXEL = 32, 7.0
# Its transform is 1e-4 of its peak at the edge of the band, so moving it by phases is moving it.
SMOOTH = GaussianPhantom(np.random.default_rng(3).uniform(-40, 40, (40, 3)), 10.0)


def source(n=40, **settings):
    return SimulatedSource(n, BOX, PIXEL, **{"classes": 3, "snr": 0.1, "seed": 5, **settings})


def test_an_image_depends_on_seed_and_number_alone():
    images = source().read(np.arange(40))
    np.testing.assert_array_equal(source().read(np.array([7, 31, 7])), images[[7, 31, 7]])
    assert not np.array_equal(source(seed=6).read(np.arange(40)), images)
    assert len(np.unique(images[:, 0, 0])) == 40


def test_images_are_projections_moved_by_their_offset_and_seen_through_their_ctf():
    simulated = source(snr=1e12, density=SMOOTH)
    indices = np.arange(12)
    found = simulated.read(indices)
    psi, offset = simulated.psi_deg[indices], simulated.offsets_px[indices]
    assert np.abs(offset).max() > 1 and len(np.unique(psi)) > 6
    views = simulated.views_deg[simulated.class_index[indices]]
    rotations = rotation_matrices(np.column_stack([views, psi]))
    expected = SMOOTH.project(rotations, BOX, PIXEL, -offset)
    apply_ctf(expected, simulated.ctf_rows[indices], PIXEL, backend="cpu", threads=1)
    gain = (found * expected).sum() / (expected**2).sum()
    residual = np.linalg.norm(found - gain * expected) / np.linalg.norm(found)
    assert residual < 1e-3


def test_noise_has_unit_variance_and_the_snr_is_as_asked():
    low, high = (source(400, snr=snr).read(np.arange(400)) for snr in (0.1, 0.4))
    signal = high - low  # the same noise in both
    disc = soft_circle((BOX, BOX), beta_galactosidase().diameter_angstrom / (2 * PIXEL), 0) > 0
    # The scale comes from the first 256.
    assert np.mean(signal[:, disc].astype(float) ** 2) == pytest.approx(0.1, rel=0.05)
    assert (low - signal).var() == pytest.approx(1, rel=0.02)


def test_it_can_be_classified():
    simulated = source(60, snr=0.5)
    results = classify2d(
        simulated,
        simulated.ctf_rows,
        pixel_size_angstrom=PIXEL,
        classes=2,
        iterations=1,
        threads=1,
    )
    assert (list(results)[-1].assignments.class_index >= 0).all()


@pytest.mark.parametrize("wrong", [{"n": 0}, {"snr": 0}, {"classes": 0}])
def test_senseless_numbers_are_refused(wrong):
    with pytest.raises(InputError):
        source(**wrong)
