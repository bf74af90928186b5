"""Particles are turned and shifted as their averages lie."""

import numpy as np
import pytest

from boxwood.imaging.alignment import aligned

BOX, WIDTH = 48, 5.0
# x, y from the origin, and brightness: no symmetry
BLOBS = ((8.0, 0.0, 1.0), (-3.0, 9.0, 0.6))


def projection(x, y):
    """The object at psi = 0, around the origin."""
    return sum(h * np.exp(-((x - bx) ** 2 + (y - by) ** 2) / (2 * WIDTH**2)) for bx, by, h in BLOBS)


def image_of(psi_deg, offset):
    """I(p) = P(R(psi)(p + offset)), docs/conventions.md; R turns +x towards +y."""
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    x, y = x + offset[0], y + offset[1]
    c, s = np.cos(np.deg2rad(psi_deg)), np.sin(np.deg2rad(psi_deg))
    return projection(c * x - s * y, s * x + c * y)


@pytest.mark.parametrize(("psi", "offset"), [(0, (0, 0)), (0, (3, -2)), (90, (0, 0)), (-37, (2.5, 1.25))])
def test_a_particle_comes_to_lie_as_its_projection(psi, offset):
    (found,) = aligned(image_of(psi, offset)[None].astype(np.float32), np.array([psi]), np.array([offset]))
    inner = slice(10, -10)  # nothing from outside the box
    error = np.abs(found - image_of(0, (0, 0)))[inner, inner]
    # bilinear: an eighth of the second derivative (at most 1.6 / WIDTH**2) along either axis
    assert error.max() <= 2 * 1.6 / (8 * WIDTH**2)


def test_the_mean_comes_in_from_outside():
    image = np.full((1, BOX, BOX), 7, np.float32)
    np.testing.assert_allclose(aligned(image, np.array([45.0]), np.array([[5, 9]])), 7, rtol=1e-6)


def test_no_images_are_no_images():
    assert aligned(np.zeros((0, 8, 8), np.float32), np.zeros(0), np.zeros((0, 2))).shape == (0, 8, 8)
