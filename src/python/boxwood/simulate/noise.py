"""Noise with the spectrum of vitreous ice."""

import numpy as np

from boxwood.imaging.fourier import signed_frequencies
from boxwood.typing import ComplexArray, FloatArray

# Background of frame averages of beta-galactosidase at 200 kV, fitted outside the particles: white, plus
# 3.6 times as much at low frequency, falling as a Gaussian of 1/20 per Angstrom.
_COLOURED = 3.6
_FALL_OFF = 0.05


def white_spectrum(shape: tuple[int, ...], rng: np.random.Generator) -> ComplexArray:
    """Transform (..., ny, nx//2 + 1), scaled as by `forward`, of white noise of unit variance.

    Parameters
    ----------
    shape : (..., ny, nx)
        Of the real images.
    rng : numpy.random.Generator
    """
    *_, ny, nx = shape
    pairs = rng.standard_normal((*shape[:-1], nx // 2 + 1, 2), np.float32)
    spectrum: ComplexArray = pairs.view(np.complex64)[..., 0]
    spectrum *= np.float32(np.sqrt(0.5 / (ny * nx)))
    for column in {0, nx // 2} if nx % 2 == 0 else {0}:
        # these columns hold both members of each pair of conjugates
        values = spectrum[..., column]
        mates = np.roll(values[..., ::-1], 1, axis=-1).conj()
        spectrum[..., column] = (values + mates) * np.float32(np.sqrt(0.5))
    return spectrum


def noise_amplitude(
    shape: tuple[int, int], pixel_size_angstrom: float, coloured: float = _COLOURED
) -> FloatArray:
    """Filter (ny, nx//2 + 1) that gives white noise the spectrum of ice and keeps its variance.

    Parameters
    ----------
    shape : (ny, nx)
    pixel_size_angstrom : float
    coloured : float
        Power at the lowest frequencies beyond the white noise's, as a multiple of it.
    """
    x = np.arange(shape[1] // 2 + 1) / (shape[1] * pixel_size_angstrom)
    y = signed_frequencies(shape[0]) / (shape[0] * pixel_size_angstrom)
    fall_x, fall_y = (np.exp(-((f / _FALL_OFF) ** 2)).astype(np.float32) for f in (x, y))
    power = 1 + np.float32(coloured) * fall_y[:, None] * fall_x
    # columns other than x = 0 and an even side's Nyquist column stand for two coefficients
    twice = power[:, 1 : (shape[1] + 1) // 2].sum(dtype=np.float64)
    mean = (power.sum(dtype=np.float64) + twice) / (shape[0] * shape[1])
    return np.sqrt(power / np.float32(mean))
