"""Projections of voxels against the exact projections of the Gaussians they sample."""

import numpy as np
import pytest

from boxwood.errors import InputError
from boxwood.simulate import GaussianPhantom, Volume
from boxwood.simulate.rotations import random_orientations, rotation_matrices

# The Kaiser-Bessel window of four taps drops to zero from 1/I0(9) = 1e-3 of its height, once on each of
# three axes, which bounds its interpolation error.
WINDOW_STEP = 3e-3


@pytest.fixture(scope="module")
def phantom():
    centres = np.random.default_rng(5).uniform(-10, 10, (30, 3)) * [1.4, 1, 0.6]
    return GaussianPhantom(centres, 6.0)  # vanishes before the edge of a box of 108 Angstrom


@pytest.mark.parametrize(("box", "pixel"), [(36, 3.0), (35, 3.0), (50, 2.0), (30, 4.5)])
def test_slices_agree_with_exact_projections(phantom, box, pixel):
    volume = Volume(phantom.density(36, 3.0), 3.0)
    angles = random_orientations(4, np.random.default_rng(1))
    shifts = np.array([[0, 0], [1.5, -2.25], [-3, 0.5], [0, 1]])
    rotations = rotation_matrices(angles)
    exact = phantom.project(rotations, box, pixel, shifts)
    sliced = volume.project(rotations, box, pixel, shifts)
    np.testing.assert_allclose(sliced, exact, atol=WINDOW_STEP * exact.max())


def test_projection_along_z_is_the_sum(phantom):
    data = phantom.density(36, 3.0)
    image = Volume(data, 3.0).project(np.eye(3)[None], 36, 3.0)[0]
    np.testing.assert_allclose(image, data.sum(axis=0) * 3.0, atol=WINDOW_STEP * image.max())


def test_diameter_covers_the_particle(phantom):
    volume = Volume(phantom.density(36, 3.0), 3.0)
    assert phantom.diameter_angstrom - 4 * 6.0 < volume.diameter_angstrom < phantom.diameter_angstrom + 6


def test_volumes_must_be_cubes_with_a_pixel_size():
    with pytest.raises(InputError, match=r"got shape \(4, 4, 5\)"):
        Volume(np.zeros((4, 4, 5)), 1.0)
    with pytest.raises(InputError, match="pixel size is 0"):
        Volume(np.zeros((4, 4, 4)), 0)
