"""Contrast transfer function; the equation is in docs/conventions.md."""

import numpy as np

from boxwood.typing import DoubleArray


def ctf(rows: DoubleArray, frequencies: DoubleArray, mode: int, threads: int = 1) -> DoubleArray:
    """See `boxwood.backends.protocol.Backend.ctf`; here in float64."""
    u, v, angle, phase, kv, cs, q0, b_factor, scale = np.asarray(rows, dtype=np.float64).T[:, :, None]
    x, y = np.asarray(frequencies, dtype=np.float64).T[:, None, :]
    wavelength = 12.2643247 / np.sqrt(kv * 1e3 * (1 + 0.978466e-6 * kv * 1e3))
    alpha = np.deg2rad(angle)
    along = x * np.cos(alpha) + y * np.sin(alpha)
    across = -x * np.sin(alpha) + y * np.cos(alpha)
    s2 = x**2 + y**2
    gamma = (
        -np.pi * wavelength * (u * along**2 + v * across**2)
        + 0.5 * np.pi * cs * 1e7 * wavelength**3 * s2**2
        - np.deg2rad(phase)
        - np.arctan2(q0, np.sqrt(1 - q0**2))
    )
    value = -np.sin(gamma)
    if mode & 1:
        value = np.abs(value)
    if mode & 2:
        value = np.where(np.abs(gamma) < np.pi / 2, 1.0, value)
    value = value * scale * np.exp(-0.25 * b_factor * s2)
    return np.where(np.abs(value) < 1e-8, np.where(value < 0, -1e-8, 1e-8), value)
