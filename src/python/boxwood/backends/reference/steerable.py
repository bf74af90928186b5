"""Responses to steerable filters, one transform after the other."""

import numpy as np

from boxwood.typing import AnyArray, DoubleArray


def steerable(
    image: AnyArray,
    padded: tuple[int, int],
    tables: AnyArray,
    orders: AnyArray,
    weights: AnyArray,
    threads: int = 1,
) -> tuple[DoubleArray, DoubleArray]:
    """See `boxwood.backends.protocol.Backend.steerable`; here in float64."""
    ny, nx = image.shape
    spectrum = np.fft.rfft2(np.asarray(image, np.float64), s=padded)
    ky = np.fft.fftfreq(padded[0])[:, None]
    ky[padded[0] // 2] = 0.5
    kx = np.fft.rfftfreq(padded[1])
    radius, angle = np.hypot(ky, kx), np.arctan2(ky, kx)
    places = np.linspace(0, np.sqrt(0.5), tables.shape[1])
    linear, power = [], np.zeros((ny, nx))
    for table, order, weight in zip(tables, orders, weights, strict=True):
        filtered = spectrum * np.interp(radius, places, table) * 1j**order
        if order == 0:
            linear.append(np.fft.irfft2(filtered, s=padded)[:ny, :nx])
            continue
        for part in (np.cos(order * angle), np.sin(order * angle)):
            power += weight * np.fft.irfft2(filtered * part, s=padded)[:ny, :nx] ** 2
    return np.reshape(linear, (-1, ny, nx)), power
