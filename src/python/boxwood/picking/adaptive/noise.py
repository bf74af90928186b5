"""The background between particles, and micrographs that hold nothing else."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from boxwood.picking.adaptive.maxima import Maxima
from boxwood.picking.adaptive.preparation import Prepared
from boxwood.typing import AnyArray, DoubleArray, FloatArray

_BINS = 128  # of the spectrum up to Nyquist
_LEAST_AREA = 0.02  # of a micrograph


def background_spectrum(micrographs: Sequence[Prepared], picks: Sequence[Maxima]) -> DoubleArray:
    """Radial power spectrum of what is farther than half a diameter from any pick, pooled.

    Returns
    -------
    (bins,) float64
        Power per pixel at frequencies (bin + 1/2) / (2 * 128) cycles per pixel, to the corners of the plane.
    """
    size = int(np.ceil(_BINS * np.sqrt(2))) + 1
    power, count = np.zeros(size), np.zeros(size)
    for micrograph, found in zip(micrographs, picks, strict=True):
        clean = micrograph.mask > 0
        keep = clean & beyond(micrograph, found, 0.5 * micrograph.diameter_px)
        if keep.mean() < _LEAST_AREA:
            keep = clean  # full of particles: they are all there is to see
        rest = np.where(keep, micrograph.image - micrograph.image[keep].mean(), 0)
        squares = np.abs(np.fft.rfft2(rest)) ** 2 / keep.sum()
        bins = np.minimum((_radius(micrograph.shape) * 2 * _BINS).astype(np.int64), size - 1).ravel()
        power += np.bincount(bins, squares.ravel(), size)
        count += np.bincount(bins, minlength=size)
    known = np.flatnonzero(count)
    return np.interp(np.arange(size), known, power[known] / count[known])


def beyond(micrograph: Prepared, found: Maxima, distance_px: float) -> AnyArray:
    """(ny, nx) bool: what is farther than a distance from every peak."""
    free = np.ones(micrograph.shape, bool)
    free[found.y, found.x] = False
    return free if free.all() else ndimage.distance_transform_edt(free) > distance_px


def synthetic_background(
    spectrum: DoubleArray, shape: tuple[int, int], rng: np.random.Generator
) -> FloatArray:
    """Gaussian noise of such a spectrum."""
    amplitude = np.sqrt(np.interp(_radius(shape) * 2 * _BINS - 0.5, np.arange(len(spectrum)), spectrum))
    white = rng.standard_normal(shape, dtype=np.float32)
    return np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=shape).astype(np.float32)


def _radius(shape: tuple[int, int]) -> DoubleArray:
    return np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
