"""Transforms against their definitions, with loops as plain as the definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boxwood.errors import InputError
from boxwood.imaging import fourier

sides = st.integers(2, 12)
EPS = np.finfo(np.float64).eps


def image(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


@given(sides, sides)
def test_forward_is_the_scaled_sum(ny, nx):
    pixels = image((ny, nx))
    y, x = np.mgrid[:ny, :nx]
    spectrum = fourier.forward(pixels)
    for row, fy in enumerate(fourier.signed_frequencies(ny)):
        for fx in range(nx // 2 + 1):
            expected = np.mean(pixels * np.exp(-2j * np.pi * (fx * x / nx + fy * y / ny)))
            # n terms of magnitude ~1 whose phases carry an error of eps times the number of turns
            assert abs(spectrum[row, fx] - expected) < 100 * (ny + nx) * EPS


@given(sides, sides)
def test_inverse_undoes_forward(ny, nx):
    pixels = image((3, ny, nx))
    np.testing.assert_allclose(fourier.inverse(fourier.forward(pixels), (ny, nx)), pixels, atol=100 * EPS)


def test_single_precision_images_stay_single():
    assert fourier.shift(image((8, 8)).astype(np.float32), (1, 0)).dtype == np.float32


@given(sides)
def test_signed_frequencies_run_from_minus_to_plus_nyquist(n):
    expected = range(-(n // 2) + (1 - n % 2), n // 2 + 1)
    assert sorted(fourier.signed_frequencies(n)) == list(expected)


@given(sides, sides, sides, sides)
def test_window_spectrum_copies_equal_frequencies(ny, nx, my, mx):
    spectrum = fourier.forward(image((ny, nx)))
    windowed = fourier.window_spectrum(spectrum, (ny, nx), (my, mx))
    old = {
        (fy, fx): spectrum[row, fx]
        for row, fy in enumerate(fourier.signed_frequencies(ny))
        for fx in range(nx // 2 + 1)
    }
    for row, fy in enumerate(fourier.signed_frequencies(my)):
        for fx in range(mx // 2 + 1):
            assert windowed[row, fx] == old.get((fy, fx), 0)


def test_window_spectrum_refuses_a_foreign_spectrum():
    with pytest.raises(InputError, match="cannot belong"):
        fourier.window_spectrum(np.zeros((8, 8), complex), (8, 8), (4, 4))


@given(st.integers(3, 9), st.integers(3, 9), st.integers(2, 3))
def test_padding_a_spectrum_interpolates_band_limited_images(ny, nx, factor):
    y, x = np.mgrid[:ny, :nx]
    coarse = 2 + np.cos(2 * np.pi * (x / nx + y / ny))
    y, x = np.mgrid[: factor * ny, : factor * nx] / factor
    expected = 2 + np.cos(2 * np.pi * (x / nx + y / ny))
    fine = fourier.window_spectrum(fourier.forward(coarse), coarse.shape, expected.shape)
    np.testing.assert_allclose(fourier.inverse(fine, expected.shape), expected, atol=200 * EPS)


@given(sides, sides, sides, sides)
def test_window_keeps_the_origin(ny, nx, my, mx):
    pixels = image((ny, nx))
    windowed = fourier.window(pixels, (my, mx), fill=7.0)
    for i, y in enumerate(fourier.centred_indices(my)):
        for j, x in enumerate(fourier.centred_indices(mx)):
            inside = -(ny // 2) <= y < ny - ny // 2 and -(nx // 2) <= x < nx - nx // 2
            assert windowed[i, j] == (pixels[y + ny // 2, x + nx // 2] if inside else 7.0)


@given(sides, sides, st.integers(-5, 5), st.integers(-5, 5))
def test_shift_by_whole_pixels_moves_the_content(ny, nx, dx, dy):
    pixels = image((ny, nx))
    moved = fourier.shift(pixels, (dx, dy))
    np.testing.assert_allclose(moved, np.roll(pixels, (dy, dx), (0, 1)), atol=500 * EPS)


def test_shift_takes_one_offset_per_image():
    pixels = image((2, 9, 9))
    offsets = np.array([[0.5, -1.25], [2.0, 0.1]])
    one_by_one = [fourier.shift(p, t) for p, t in zip(pixels, offsets, strict=True)]
    np.testing.assert_allclose(fourier.shift(pixels, offsets), one_by_one, atol=100 * EPS)
