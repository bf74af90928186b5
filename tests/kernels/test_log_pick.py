"""Laplacian-of-Gaussian maps and their peaks against the float64 reference, on each compiled backend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boxwood.backends import reference

EPS = float(np.finfo(np.float32).eps)


def random_case(seed, ny, nx, level=0.0):
    rng = np.random.default_rng(seed)
    n = max(ny, nx)
    micrograph = (rng.standard_normal((ny, nx)) * 3 + level).astype(np.float32)
    outside = rng.standard_normal(n * n - ny * nx).astype(np.float32)
    variances = np.sort(rng.uniform(0.5, n * n / 8, rng.integers(1, 12)))[::-1].copy()
    return micrograph, outside, variances


def tolerance(micrograph, outside, variances, work_size, level):
    """Bound of the response's float32 error.

    A response is a sum over coefficients of magnitude |F| G. Rounding errors of a transform are a random
    walk, relative to the norm of its input: eps log2(n) for each of the four (two forward, two inverse)
    and for the direct last sum, whose terms are fewer than n, the root of their number. In quadrature,
    5 eps (log2 n + sqrt n) norm; the pixels themselves carry eps (1 + |level| / sigma) of rounding.
    """
    n = max(micrograph.shape)
    ky = np.fft.fftfreq(work_size, 1 / work_size)
    r2 = np.add.outer(ky**2, ky**2)
    # white noise of unit variance has coefficients of variance 1 / n^2 in this scaling
    norm = max(np.sqrt(np.sum((r2 / v * np.exp(-r2 / (2 * v))) ** 2)) / n for v in variances)
    worst_pixel = 6  # the largest of the map's errors, in standard deviations
    return worst_pixel * 5 * EPS * (np.log2(n) + np.sqrt(n) + abs(level) / 3) * norm


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    ny=st.integers(2, 130),
    nx=st.integers(2, 130),
    half=st.integers(1, 75),
    sign=st.sampled_from([-1.0, 1.0]),
    level=st.sampled_from([0.0, 1000.0]),
)
def test_maps_are_the_references(backend, seed, ny, nx, half, sign, level):
    micrograph, outside, variances = random_case(seed, ny, nx, level)
    arguments = micrograph, outside, 2 * half, variances, 8.0, sign
    best, index, mean, sigma = backend.log_pick_maps(*arguments, 1)
    want, _, want_mean, want_sigma = reference.log_pick_maps(*arguments)
    bound = tolerance(micrograph, outside, variances, 2 * half, level)
    assert best.dtype == np.float32
    assert index.dtype == np.uint8
    assert np.abs(best - want).max() <= bound
    # Another filter may win only where two responses are equal but for rounding.
    for i in np.unique(index):
        alone = reference.log_pick_maps(*arguments[:3], variances[i : i + 1], *arguments[4:])[0]
        assert np.abs(alone - want)[index == i].max() <= 2 * bound
    assert mean == pytest.approx(want_mean, rel=1e-12, abs=1e-12)
    assert sigma == pytest.approx(want_sigma, rel=1e-9)


@pytest.mark.parametrize("shape", [(257, 257), (211, 397), (384, 256), (360, 358)])
def test_awkward_and_good_lengths(backend, shape):
    micrograph, outside, variances = random_case(1, *shape)
    arguments = micrograph, outside, 64, variances, 8.0, -1.0
    best = backend.log_pick_maps(*arguments, 2)[0]
    bound = tolerance(micrograph, outside, variances, 64, 0)
    assert np.abs(best - reference.log_pick_maps(*arguments)[0]).max() <= bound


def test_one_wave_passes_with_the_filters_factor(backend):
    """Known in closed form: a cosine is an eigenfunction of every filter."""
    n, w, k = 96, 48, np.array([5, -3])
    y, x = np.indices((n, n))
    wave = np.cos(2 * np.pi * (k[0] * x + k[1] * y) / n)
    variance = 20.0
    best = backend.log_pick_maps(
        wave.astype(np.float32), np.zeros(0, np.float32), w, np.array([variance]), 8.0, 1.0, 1
    )[0]
    r2 = float(k @ k)
    gain = r2 / variance * np.exp(-r2 / (2 * variance)) / wave.std()
    y, x = np.indices((w, w))
    assert np.abs(best - gain * np.cos(2 * np.pi * (k[0] * x + k[1] * y) / w)).max() <= 100 * EPS


def test_outliers_become_the_mean(backend):
    micrograph, outside, variances = random_case(3, 64, 64)
    micrograph[20, 30] = 1e6
    arguments = micrograph, outside, 32, variances, 5.0, 1.0
    best = backend.log_pick_maps(*arguments, 1)[0]
    want = reference.log_pick_maps(*arguments)[0]
    assert np.abs(best - want).max() <= np.abs(want).max() * 1e-3
    assert np.abs(want).max() < 1e-2  # 63 of 64 parts of the variance were the outlier's


def test_ties_go_to_the_first_filter(backend):
    micrograph, outside, _ = random_case(4, 40, 40)
    index = backend.log_pick_maps(micrograph, outside, 40, np.full(3, 30.0), 8.0, 1.0, 1)[1]
    assert not index.any()


@pytest.mark.parametrize(("value", "sigma"), [(3.0, 0.0), (np.nan, np.nan), (np.inf, np.nan)])
def test_what_cannot_be_normalised_is_reported(backend, value, sigma):
    micrograph = np.full((8, 8), 3.0, np.float32)
    micrograph[4, 4] = value
    for kernels in (backend, reference):
        got = kernels.log_pick_maps(micrograph, np.zeros(0, np.float32), 8, np.ones(1), 8.0, 1.0, 1)[3]
        assert np.array_equal(got, sigma, equal_nan=True)


def test_threads_do_not_matter(backend):
    micrograph, outside, variances = random_case(5, 150, 170)
    results = [backend.log_pick_maps(micrograph, outside, 90, variances, 8.0, -1.0, t) for t in (1, 2, 7)]
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert np.array_equal(a, b)


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    w=st.integers(2, 40),
    filters=st.integers(1, 5),
    levels=st.sampled_from([5, 1000]),
    adjust=st.floats(-3, 3),
    upper=st.floats(-1, 6),
)
def test_peaks_are_those_of_searching_again_and_again(backend, seed, w, filters, levels, adjust, upper):
    rng = np.random.default_rng(seed)
    # few levels make ties; powers of two make their sums exact, so both see the same threshold
    best = (rng.integers(-levels, levels, (w, w)) / 1024).astype(np.float32)
    index = rng.integers(0, filters, (w, w)).astype(np.uint8)
    allowed = rng.integers(0, 2, filters).astype(np.uint8)
    radius2 = rng.integers(0, 30, filters)
    y, x = np.sort(rng.integers(0, w + 1, (2, 2)), axis=1)
    arguments = best, index, allowed, radius2, (*y.tolist(), *x.tolist()), adjust, upper
    got = backend.log_pick_peaks(*arguments, 1)
    want = reference.log_pick_peaks(*arguments)
    assert np.array_equal(got[0], want[0])
    assert got[1:] == pytest.approx(want[1:], rel=1e-9, abs=1e-12, nan_ok=True)


def test_refusals(backend):
    image, none = np.ones((4, 6), np.float32), np.zeros(0, np.float32)
    with pytest.raises(ValueError, match=r"outside has shape \(0\), expected \(12\)"):
        backend.log_pick_maps(image, none, 4, np.ones(1), 8.0, 1.0, 1)
    with pytest.raises(ValueError, match="work_size is 5, expected an even number"):
        backend.log_pick_maps(image, np.zeros(12, np.float32), 5, np.ones(1), 8.0, 1.0, 1)
    with pytest.raises(ValueError, match="index names filter 3, there are 2"):
        flat = np.zeros((2, 2), np.float32)
        three = np.full((2, 2), 3, np.uint8)
        backend.log_pick_peaks(flat, three, np.ones(2, np.uint8), np.ones(2, np.int64), (0, 2, 0, 2), 0, 1, 1)
