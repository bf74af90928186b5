"""Aberrations of the objective lens as phases in Fourier space, in RELION's terms.

Zivanov, Nakane and Scheres, IUCrJ 7:253 (2020): the phase is a series of Zernike polynomials of the spatial
frequency in 1/Angstrom, not normalised and not scaled to any radius.
"""

from collections.abc import Sequence
from math import factorial

import numpy as np

from boxwood.typing import AnyArray, DoubleArray


def zernike(n: int, m: int, x: AnyArray, y: AnyArray) -> DoubleArray:
    """Polynomial of order n, frequency m (negative: sine), at (x, y); value 1 on the unit circle's x axis."""
    power, k = x**2 + y**2, abs(m)
    radial = sum(
        (-1) ** s
        * factorial(n - s)
        / (factorial(s) * factorial((n + k) // 2 - s) * factorial((n - k) // 2 - s))
        * power ** ((n - k) // 2 - s)
        for s in range((n - k) // 2 + 1)
    )
    turned = (x + 1j * y) ** k
    return np.asarray(radial * (turned.imag if m < 0 else turned.real))


def zernike_phase(coefficients: Sequence[float], frequencies: AnyArray, *, odd: bool) -> DoubleArray:
    """Phase in radian of rlnOddZernike or rlnEvenZernike.

    Parameters
    ----------
    coefficients : sequence of float
        Radian, in the order n = 1, 3, 5, ... (odd) or 0, 2, 4, ... (even), for each m = -n, -n + 2, ..., n.
    frequencies : (samples, 2)
        x and y in 1/Angstrom.

    Returns
    -------
    (samples,) float64
    """
    x, y = np.asarray(frequencies, dtype=np.float64).T
    phase = np.zeros(len(x))
    terms = ((n, m) for n in range(int(odd), 2 * len(coefficients) + 2, 2) for m in range(-n, n + 1, 2))
    for (n, m), coefficient in zip(terms, coefficients, strict=False):
        if coefficient:
            phase += coefficient * zernike(n, m, x, y)
    return phase


def beam_tilt_phase(
    tilt_mrad: tuple[float, float], voltage_kv: float, cs_mm: float, frequencies: AnyArray
) -> DoubleArray:
    """Phase (samples,) in radian of axial coma, odd like rlnOddZernike: -2 pi Cs lambda^2 (tilt f) |f|^2."""
    f = np.asarray(frequencies, dtype=np.float64)
    strength = -2 * np.pi * cs_mm * 1e7 * wavelength_angstrom(voltage_kv) ** 2 * 1e-3
    return np.asarray(strength * (f @ np.asarray(tilt_mrad)) * (f**2).sum(axis=1))


def wavelength_angstrom(voltage_kv: float) -> float:
    """Of electrons, relativistic; as in docs/conventions.md."""
    volt = voltage_kv * 1e3
    return float(12.2643247 / np.sqrt(volt * (1.0 + 0.978466e-6 * volt)))
