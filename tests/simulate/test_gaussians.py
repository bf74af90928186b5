"""Projections of Gaussians against their definition and against turned images."""

import numpy as np
import pytest

from boxwood.imaging.fourier import shift
from boxwood.simulate import GaussianPhantom, apoferritin, beta_galactosidase
from boxwood.simulate.rotations import random_orientations, rotation_matrices

EPS32 = np.finfo(np.float32).eps
AT_REST = np.eye(3)[None]
# Every Gaussian is cut at 5 sigma, so no pixel is off by more than exp(-12.5) of their heights' sum.
CUT = np.exp(-12.5)


@pytest.fixture(scope="module")
def lopsided():
    return GaussianPhantom(np.random.default_rng(3).uniform(-30, 30, (40, 3)), 4.0)


def test_projection_is_the_sum_of_gaussians(lopsided):
    rotation = rotation_matrices([[20, 50, 80]])
    image = lopsided.project(rotation, 33, 3.0, [[1.5, -2.25]])[0]
    x, y, _ = rotation[0] @ lopsided.centres.T
    grid = (np.arange(33) - 16) * 3.0
    square = (grid[:, None, None] - y - -2.25 * 3) ** 2 + (grid[None, :, None] - x - 1.5 * 3) ** 2
    expected = np.exp(-square / (2 * 16)).sum(axis=-1) / (2 * np.pi * 16)
    np.testing.assert_allclose(image, expected, atol=40 * CUT / (2 * np.pi * 16), rtol=EPS32)


def test_projection_along_z_sums_the_density(lopsided):
    assert lopsided.finest_pixel_angstrom > 2
    density = lopsided.density(50, 2.0)
    summed = density.sum(axis=0, dtype=np.float64) * 2.0
    image = lopsided.project(AT_REST, 50, 2.0)[0]
    # by Poisson's formula the sum over a full sampling is the integral to 1e-6
    np.testing.assert_allclose(image, summed, atol=50 * CUT * image.max() + 50 * EPS32 * image.max())


def test_mass_is_kept(lopsided):
    image = lopsided.project(AT_REST, 64, 2.0)[0]
    assert image.sum(dtype=np.float64) * 4 == pytest.approx(40, rel=2 * CUT + 1e-6)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_psi_turns_the_image(lopsided, quarters):
    """psi = 90 is a quarter turn that takes +x to -y, which np.rot90 calls positive."""
    angles = np.array([[10.0, 60, 0], [10, 60, 90 * quarters]])
    still, turned = lopsided.project(rotation_matrices(angles), 65, 2.0)
    np.testing.assert_allclose(turned, np.rot90(still, quarters), atol=20 * EPS32 * still.max())


def test_a_rotated_particle_projects_as_its_rotation_says(lopsided):
    rotations = rotation_matrices(random_orientations(5, np.random.default_rng(0)))
    for image, rotation in zip(lopsided.project(rotations, 64, 2.0), rotations, strict=True):
        moved = GaussianPhantom(lopsided.centres @ rotation.T, lopsided.sigma_angstrom)
        np.testing.assert_allclose(image, moved.project(AT_REST, 64, 2.0)[0], atol=20 * EPS32 * image.max())


def test_shifts_move_the_content(lopsided):
    still = lopsided.project(AT_REST, 64, 2.0)[0]
    moved = lopsided.project(AT_REST, 64, 2.0, [[2.5, -1.25]])[0]
    # a sampled Gaussian of 2 pixels has 1e-8 of its amplitude beyond Nyquist
    np.testing.assert_allclose(moved, shift(still, (2.5, -1.25)), atol=60 * CUT * still.max())


def test_particles_at_the_edge_are_clipped(lopsided):
    whole = lopsided.project(AT_REST, 64, 2.0, [[-10, 4]])[0]
    part = lopsided.project(AT_REST, 20, 2.0, [[-10, 4]])[0]
    np.testing.assert_array_equal(part, whole[22:42, 22:42])


def test_beta_galactosidase_is_a_tetramer_of_the_right_size():
    phantom = beta_galactosidase()
    extent = np.ptp(phantom.centres, axis=0) + 4 * phantom.sigma_angstrom
    np.testing.assert_allclose(extent, [170, 130, 90], rtol=0.05)
    for turn in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1]):
        turned = {tuple(p) for p in (phantom.centres * turn).round(6) + 0.0}
        assert turned == {tuple(p) for p in phantom.centres.round(6) + 0.0}


def test_views_of_beta_galactosidase_differ():
    """Even after the best in-plane turn the views along the three axes correlate below 0.9."""
    phantom = beta_galactosidase()
    turned = []
    for rot, tilt in ((0, 0), (0, 90), (90, 90)):
        angles = [[rot, tilt, psi] for psi in range(0, 360, 6)]
        images = phantom.project(rotation_matrices(angles), 32, 7.0).reshape(60, -1)
        images = images - images.mean(axis=1, keepdims=True)
        turned.append(images / np.linalg.norm(images, axis=1, keepdims=True))
    for i, first in enumerate(turned):
        for second in turned[:i]:
            assert (second @ first[0]).max() < 0.9


def test_apoferritin_is_a_ring_from_everywhere():
    images = apoferritin().project(
        rotation_matrices(random_orientations(4, np.random.default_rng(0))), 64, 3.0
    )
    r = np.hypot(*np.meshgrid(np.arange(64) - 32, np.arange(64) - 32)) * 3
    for image in images:
        shell, core, outside = image[(r > 40) & (r < 56)], image[r < 30], image[r > 75]
        assert shell.mean() > 1.3 * core.mean()
        assert outside.max() < 1e-3 * shell.mean()
