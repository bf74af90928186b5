"""Polar transforms against direct sums, and the properties that the classification relies on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.backends import reference
from boxwood.imaging.masks import soft_circle
from boxwood.imaging.polar import PolarGrid, cutoff, good_length

# Largest error of gridding with a kernel of width 4 on a twofold grid, relative to the sum of magnitudes
# of the image: Beatty, Nishimura and Pauly (2005), figure 3, gives 1e-3 for the aliasing amplitude at the
# edge of the field of view, where an image that fills its box has most of its pixels.
GRIDDING = 1e-3


def random_case(seed, box, n):
    rng = np.random.default_rng(seed)
    grid = PolarGrid(box, box / 2 - 3, 3.0, rng.integers(1, box // 2))
    images = rng.standard_normal((n, box, box)).astype(np.float32)
    shifts = rng.integers(-box, box + 1, (n, 2)).astype(np.int32)
    mask = soft_circle((box, box), box / 2 - 5, 3).astype(np.float32)
    return rng, grid, images, shifts, mask


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), box=st.sampled_from([12, 16, 22, 26, 31, 36]), n=st.integers(1, 9))
def test_transform_is_the_direct_sum(backend, seed, box, n):
    _, grid, images, shifts, mask = random_case(seed, box, n)
    got, power = backend.polar_transform(images, shifts, mask, grid.positions, 1)
    want, want_power = reference.polar_transform(images, shifts, mask, grid.positions)
    scale = np.sqrt(want_power)[:, None] + 1e-3
    assert np.abs(got - want).max(axis=1).max() <= GRIDDING * box * scale.max()
    assert (np.abs(got - want) <= GRIDDING * box * scale).all()
    assert np.allclose(power, want_power, rtol=box * 1e-6, atol=1e-5)


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), box=st.sampled_from([12, 18, 25, 32]))
def test_adjoint_is_the_adjoint(backend, seed, box):
    rng, grid, images, _, _ = random_case(seed, box, 2)
    flat = np.ones((box, box), np.float32)
    forward, _ = backend.polar_transform(images, None, flat, grid.positions, 1)
    other = (rng.standard_normal(forward.shape) + 1j * rng.standard_normal(forward.shape)).astype(
        np.complex64
    )
    back = backend.polar_adjoint(other, grid.positions, box, 1)
    left = np.vdot(forward.astype(np.complex128), other).real
    right = np.vdot(images.astype(np.float64), back)
    # The same taps and factors both ways: only rounding is left.
    size = np.linalg.norm(forward) * np.linalg.norm(other)
    assert abs(left - right) <= 20 * np.finfo(np.float32).eps * size


def test_threads_do_not_matter(backend):
    _, grid, images, shifts, mask = random_case(5, 24, 37)
    one, power = backend.polar_transform(images, shifts, mask, grid.positions, 1)
    many, power_many = backend.polar_transform(images, shifts, mask, grid.positions, 5)
    assert one.tobytes() == many.tobytes()
    assert power.tobytes() == power_many.tobytes()
    a, b = (backend.polar_adjoint(one, grid.positions, 24, t) for t in (1, 5))
    assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("box", [16, 33])
def test_constant_image_has_nothing_on_rings(backend, box):
    grid = PolarGrid(box, box / 2 - 3, 3.0, box // 2 - 1)
    mask = soft_circle((box, box), box / 4, 4).astype(np.float32)
    got, _ = backend.polar_transform(np.full((1, box, box), 7, np.float32), None, mask, grid.positions, 1)
    assert np.abs(got).max() < 1e-3


def test_wrong_shapes_are_named(backend):
    images = np.zeros((2, 8, 9), np.float32)
    with pytest.raises(ValueError, match=r"images has shape \(2, 8, 9\), expected \(any, 8, 8\)"):
        backend.polar_transform(images, None, np.ones((8, 8), np.float32), np.zeros((3, 2), np.float32), 1)


@pytest.mark.parametrize("rings", [3, 9])
def test_harmonics_and_samples_are_inverse(rings):
    rng = np.random.default_rng(1)
    grid = PolarGrid(32, 12, 3, 12)
    mask = soft_circle((32, 32), 7, 5)
    x, _ = reference.polar_transform(rng.standard_normal((4, 32, 32)), None, mask, grid.positions)
    samples = x[:, : grid.samples(rings)]
    packed = grid.harmonics(samples, rings)
    assert packed.shape == (4, grid.coefficients(rings))
    back = grid.from_harmonics(packed, rings)
    # What is missing are the harmonics beyond the bandwidth of an image of this support.
    assert np.abs(back - samples).max() < 1e-3 * np.abs(samples).max()


def test_grid_is_fit_for_its_purpose():
    grid = PolarGrid(64, 28.2, 5.0, 31)
    assert (grid.ring_samples % 4 == 0).all()
    assert (grid.ring_harmonics * 2 < grid.ring_samples).all()
    assert (np.diff(grid.ring_harmonics) >= 0).all()
    assert grid.samples(31) == len(grid.positions)
    assert np.allclose(np.hypot(*grid.positions[grid.sample_start[4] : grid.sample_start[5]].T), 5)
    assert good_length(7, 4) == 8
    assert good_length(61, 2) == 64
    edge = cutoff(12, 6)
    assert edge[4] == 1
    assert edge[7] == 0
    assert edge[5] == pytest.approx(0.75)
    assert edge[6] == pytest.approx(0.25)


@pytest.mark.parametrize("position", [(3.0, -0.1), (-16.1, 0.0), (0.0, 16.1), (np.nan, 0.0)])
def test_positions_outside_the_half_plane_are_refused(backend, position):
    at, flat = np.array([position], dtype=np.float32), np.ones((32, 32), np.float32)
    with pytest.raises(ValueError, match="lies outside the half plane of a box of 32"):
        backend.polar_transform(flat[None], None, flat, at, 1)
    with pytest.raises(ValueError, match="lies outside the half plane of a box of 32"):
        backend.polar_adjoint(np.ones((1, 1), np.complex64), at, 32, 1)
