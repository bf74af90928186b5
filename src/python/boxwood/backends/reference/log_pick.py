"""Laplacian-of-Gaussian picking: the filter bank's response, and its peaks."""

import numpy as np

from boxwood.backends.reference.fourier_crop import low_frequencies
from boxwood.typing import AnyArray, DoubleArray


def log_pick_maps(
    micrograph: AnyArray,
    outside: AnyArray,
    work_size: int,
    variances: DoubleArray,
    outlier_sigma: float,
    sign: float,
    threads: int = 1,
) -> tuple[DoubleArray, AnyArray, float, float]:
    """See `boxwood.backends.protocol.Backend.log_pick_maps`; here in float64."""
    image = np.asarray(micrograph, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        mean, sigma = float(image.mean()), float(image.std())
    best = np.full((work_size, work_size), -np.inf)
    index = np.zeros((work_size, work_size), np.uint8)
    if not 0 < sigma < np.inf:
        return best, index, mean, sigma
    image = (image - mean) / sigma
    image[np.abs(image) > outlier_sigma] = 0
    square = _square(sign * image, outside)
    spectrum = low_frequencies(np.fft.rfft2(square, norm="forward"), square.shape, best.shape)
    ky = np.fft.fftfreq(work_size, 1 / work_size)[:, None]
    r2 = np.arange(work_size // 2 + 1) ** 2 + ky**2
    for i, variance in enumerate(variances):
        response = np.fft.irfft2(
            spectrum * (r2 / variance * np.exp(-r2 / (2 * variance))), s=best.shape, norm="forward"
        )
        better = response > best
        best[better] = response[better]
        index[better] = i
    return best, index, mean, sigma


def _square(image: AnyArray, outside: AnyArray) -> DoubleArray:
    """Centre the image in a square filled with `outside`."""
    ny, nx = image.shape
    n = max(ny, nx)
    inside = np.zeros((n, n), bool)
    y, x = n // 2 - ny // 2, n // 2 - nx // 2
    inside[y : y + ny, x : x + nx] = True
    square = np.empty((n, n))
    square[inside] = image.ravel()
    square[~inside] = outside
    return square


def log_pick_peaks(
    best: AnyArray,
    index: AnyArray,
    allowed: AnyArray,
    radius2: AnyArray,
    border: tuple[int, int, int, int],
    adjust: float,
    upper: float,
    threads: int = 1,
) -> tuple[AnyArray, float, float]:
    """See `boxwood.backends.protocol.Backend.log_pick_peaks`; the map is searched again for each peak."""
    y0, y1, x0, x1 = border
    rows, columns = np.indices(best.shape)
    size_allowed = np.asarray(allowed, bool)[index]
    centre = (rows >= y0) & (rows < y1) & (columns >= x0) & (columns < x1)
    fom = np.where(centre & size_allowed, best, 0.0).astype(np.float64)
    if not size_allowed.any():
        return np.zeros((0, 2), np.int32), np.nan, np.nan
    mean, sigma = fom[size_allowed].mean(), fom[size_allowed].std()
    threshold, ceiling = mean + adjust * sigma, mean + upper * sigma
    fom[fom < threshold] = 0
    found = []
    while True:
        y, x = np.unravel_index(np.argmax(fom), fom.shape)
        if not fom[y, x] > 0:
            break
        if fom[y, x] < ceiling:
            found.append((y, x))
        fom[y, x] = 0
        fom[(rows - y) ** 2 + (columns - x) ** 2 < radius2[index[y, x]]] = 0
    return np.array(found, np.int32).reshape(-1, 2), float(threshold), float(ceiling)
