"""Coarser grids and steerable filters against the float64 reference, on each instruction set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.backends import reference

EPS = float(np.finfo(np.float32).eps)


def rounding(points):
    """Bound, per unit of an input's norm, of what four one-dimensional transforms of float32 add.

    Rounding is a random walk: eps log2(n) each, and for a direct sum over a prime factor the root of its
    terms, fewer than n. The largest of a plane's errors is within six standard deviations.
    """
    return 6 * 4 * EPS * (np.log2(points) + np.sqrt(points))


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    ny=st.integers(2, 150),
    nx=st.integers(2, 150),
    fraction=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    level=st.sampled_from([0.0, 1000.0]),
)
def test_crop_is_the_references(cpu_backend, seed, ny, nx, fraction, level):
    image = (np.random.default_rng(seed).standard_normal((ny, nx)) + level).astype(np.float32)
    my, mx = (max(2, 2 * int(f * n / 2)) for f, n in zip(fraction, (ny, nx), strict=True))
    got = cpu_backend.fourier_crop(image, (my, mx), level, 1)
    want = reference.fourier_crop(image, (my, mx), level)
    assert got.dtype == np.float32
    # pixels of unit variance; those of the coarser grid have no more
    assert np.abs(got - want).max() <= rounding(max(ny, nx))


def test_a_wave_stays_a_wave(cpu_backend):
    y, x = np.indices((96, 120))
    wave = 3 + np.cos(2 * np.pi * (5 * x / 120 - 3 * y / 96))
    small = cpu_backend.fourier_crop(wave.astype(np.float32), (32, 40), 3.0, 1)
    y, x = np.indices((32, 40))
    assert np.abs(small - np.cos(2 * np.pi * (5 * x / 40 - 3 * y / 32))).max() <= rounding(120)


def random_bank(rng, filters, samples):
    tables = rng.standard_normal((filters, samples)).astype(np.float32)
    orders = rng.integers(0, 9, filters).astype(np.int32)
    tables[orders > 0, 0] = 0  # at the origin there is no direction
    return tables, orders, rng.uniform(0, 2, filters).astype(np.float32)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    ny=st.integers(1, 90),
    nx=st.integers(1, 90),
    more=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    filters=st.integers(0, 7),
    samples=st.integers(2, 300),
)
def test_responses_are_the_references(cpu_backend, seed, ny, nx, more, filters, samples):
    rng = np.random.default_rng(seed)
    image = rng.standard_normal((ny, nx)).astype(np.float32)
    padded = tuple(n + m + (n + m) % 2 for n, m in zip((ny, nx), more, strict=True))
    tables, orders, weights = random_bank(rng, filters, samples)
    linear, power = cpu_backend.steerable(image, padded, tables, orders, weights, 1)
    want_linear, want_power = reference.steerable(image, padded, tables, orders, weights)
    assert linear.shape == (np.count_nonzero(orders == 0), ny, nx)
    # The place in a table is rounded to float32, which counts by the steepness of the table; the
    # direction's multiples by their order.
    steep = 2 * np.abs(tables).max(initial=0)
    largest = steep * (rounding(max(padded)) + 6 * 10 * EPS)
    assert np.abs(linear - want_linear).max(initial=0) <= largest
    size = 6 * np.abs(tables).max(initial=0)
    assert np.abs(power - want_power).max() <= filters * 2 * (2 * 2 * size * largest + largest**2) + 1e-30


def test_turning_the_image_turns_the_power(cpu_backend):
    """What makes one filter serve all directions."""
    rng = np.random.default_rng(3)
    image = rng.standard_normal((40, 40)).astype(np.float32)
    tables, orders, weights = random_bank(rng, 6, 200)
    linear, power = cpu_backend.steerable(image, (40, 40), tables, orders, weights, 1)
    turned = np.ascontiguousarray(np.rot90(image))
    linear2, power2 = cpu_backend.steerable(turned, (40, 40), tables, orders, weights, 1)
    # A quarter turn takes the pixel grid to itself, but the origin to another pixel, and the frequency
    # +n/2, which stands for itself and -n/2, to -n/2: neither matters to filters that stop before it.
    assert linear.shape == linear2.shape
    assert power.std() > 0
    smooth = tables * (np.linspace(0, np.sqrt(0.5), 200) < 0.45)
    _, power = cpu_backend.steerable(image, (40, 40), smooth, orders, weights, 1)
    _, power2 = cpu_backend.steerable(turned, (40, 40), smooth, orders, weights, 1)
    assert np.abs(np.rot90(power) - power2).max() <= 1e-4 * power.max()


def test_threads_do_not_matter(cpu_backend):
    rng = np.random.default_rng(5)
    image = rng.standard_normal((130, 170)).astype(np.float32)
    bank = random_bank(rng, 5, 64)
    results = [cpu_backend.steerable(image, (140, 180), *bank, t) for t in (1, 2, 7)]
    crops = [cpu_backend.fourier_crop(image, (60, 80), 0.0, t) for t in (1, 2, 7)]
    for other, crop in zip(results[1:], crops[1:], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))
        assert np.array_equal(crops[0], crop)


def test_refusals(cpu_backend):
    image = np.ones((6, 8), np.float32)
    none, orders, weights = np.zeros((1, 4), np.float32), np.zeros(1, np.int32), np.ones(1, np.float32)
    with pytest.raises(
        ValueError, match=r"shape is \(8, 8\), expected even numbers from 2 to those of \(6, 8\)"
    ):
        cpu_backend.fourier_crop(image, (8, 8), 0.0, 1)
    with pytest.raises(ValueError, match=r"padded is \(7, 8\), expected even numbers"):
        cpu_backend.steerable(image, (7, 8), none, orders, weights, 1)
    with pytest.raises(ValueError, match="orders has a negative entry"):
        cpu_backend.steerable(image, (6, 8), none, orders - 1, weights, 1)
    with pytest.raises(ValueError, match=r"weights has shape \(2\), expected \(1\)"):
        cpu_backend.steerable(image, (6, 8), none, orders, np.ones(2, np.float32), 1)
