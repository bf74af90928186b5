"""RELION's score of a template at every place of a micrograph: the probability ratio of a particle to noise.

The score compares, in units of the micrograph's noise around a place, the residual with and without the
template, and divides by what a template in white noise would give (Scheres, J. Struct. Biol. 189:114, 2015).
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft

from boxwood.backends import Backend, available_threads, get_backend
from boxwood.errors import InputError
from boxwood.imaging.fourier import window_spectrum
from boxwood.imaging.polar import good_length
from boxwood.picking.geometry import Grid, round_half_away
from boxwood.picking.log import OUTLIER_SIGMA, checked_image
from boxwood.picking.templates.turning import Turned
from boxwood.typing import AnyArray, ComplexArray, DoubleArray, FloatArray

_NO_VARIANCE = 1e-10
_FILTER_EDGE = 2  # shells over which the high-pass filter rises


@dataclass(frozen=True)
class TemplateMaps:
    """Scores of every template at every place of one micrograph, on the working grid.

    Attributes
    ----------
    best : (templates, w, w) float32
        Largest over the in-plane angles.
    psi : (templates, w, w) float32
        The angle that gave it, degrees.
    mean, deviation : (w, w) float32
        Of the micrograph in the corners of the template's box, outside the mask.
    shape : (ny, nx)
        Of the micrograph, in pixels.
    pixel_size_angstrom : float
        Of the micrograph.
    """

    best: FloatArray
    psi: FloatArray
    mean: FloatArray
    deviation: FloatArray
    shape: tuple[int, int]
    pixel_size_angstrom: float

    @property
    def grid(self) -> Grid:
        """Where the maps lie on the micrograph."""
        return Grid(self.shape, self.best.shape[-1])


def ratio_maps(
    micrograph: AnyArray,
    turned: Turned,
    *,
    ctf_row: DoubleArray | None = None,
    ctf_intact_first_peak: bool = False,
    highpass: float = -1.0,
    outside: FloatArray,
    noise: FloatArray,
    threads: int | None = None,
    backend: str | Backend = "cpu",
) -> TemplateMaps:
    """Score a micrograph.

    Parameters
    ----------
    micrograph : (ny, nx) array of numbers
    turned : Turned
        The templates, made for micrographs of this shape.
    ctf_row : (9,) float64, optional
        Columns of `Backend.ctf`; without it the templates are compared as they are.
    ctf_intact_first_peak : bool
        The CTF counts as 1 up to its first peak.
    highpass : float
        Of the micrograph, Angstrom; -1 for none.
    outside : (n^2 - ny nx,) float32
        Normal numbers around a micrograph that is not square, in row-major order over the square of the
        longer side n.
    noise : (templates, turned.samples) float32
        Normal numbers: the noise in which a template's expected score is taken.
    threads, backend : int, str or Backend

    Raises
    ------
    InputError
        For an image that is not two-dimensional, is constant or has pixels that are not finite, or is of
        another shape than the templates were made for.
    """
    image = checked_image(micrograph)
    if image.shape != turned.shape:
        raise InputError(f"the micrograph is {image.shape}, the templates were made for {turned.shape}")
    kernels, threads = get_backend(backend), threads or available_threads()
    n, w = turned.side, turned.work
    spectrum, squares = _spectra(image, outside, highpass / turned.pixel_size_angstrom, w, kernels, threads)
    mean = _inverse(spectrum * turned.surroundings, w, threads)
    variance = _inverse(squares * turned.surroundings, w, threads) - mean**2
    deviation = np.sqrt(np.where(variance > _NO_VARIANCE, variance, np.float32(1)))
    transfer = None
    if ctf_row is not None:
        mode = 2 if ctf_intact_first_peak else 0
        on_map, transfer = (
            kernels.ctf(ctf_row[None], grid.reshape(-1, 2), mode, threads).reshape(grid.shape[:2])
            for grid in (turned.frequencies, turned.frequencies_of_templates)
        )
        spectrum = spectrum * on_map
    spectrum = spectrum * np.float32(n * n / turned.inside)
    sums, powers, expected = turned.expectations(transfer, noise)
    shape = (len(turned), w, w)
    best, which = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.int32)
    # The score rises with the correlation, unless noise has made the expected one negative.
    signs = np.where(expected > 0, 1, -1).astype(np.float32)[:, None, None]
    for first, last in turned.blocks():
        for angle in range(len(turned.psi_deg)):
            product = np.conj(turned.transforms(first, last, angle)) * spectrum
            correlation = signs[first:last] * _inverse(product, w, threads)
            better = correlation > best[first:last]
            np.copyto(best[first:last], correlation, where=better)
            np.copyto(which[first:last], angle, where=better)
    best *= signs
    for t, (total, power, scale) in enumerate(zip(sums, powers, expected, strict=True)):
        gap = np.float32(power) - 2 * (best[t] - mean * np.float32(total)) / deviation
        best[t] = np.expm1(-0.5 * gap) / np.float32(scale)
    psi = turned.psi_deg.astype(np.float32)[which]
    return TemplateMaps(best, psi, mean, deviation, turned.shape, turned.pixel_size_angstrom)


def _spectra(
    image: FloatArray, outside: FloatArray, highpass_px: float, work: int, kernels: Backend, threads: int
) -> tuple[ComplexArray, ComplexArray]:
    """Transforms, up to the working grid's Nyquist, of the normalised micrograph and of its square."""
    mean, deviation = float(image.mean(dtype=np.float64)), float(image.std(dtype=np.float64))
    if not np.isfinite(deviation):
        bad = image.size - int(np.isfinite(image).sum())
        raise InputError(f"{bad} of the micrograph's {image.size} pixels are not finite; leave it out")
    if deviation == 0:
        raise InputError(f"all pixels of the micrograph are {mean:g}, so nothing can be found; leave it out")
    normal = ((image - np.float32(mean)) / np.float32(deviation)).astype(np.float32)
    normal[np.abs(normal) > OUTLIER_SIGMA] = 0
    square = _in_square(normal, outside)
    if highpass_px > 0:
        square = _high_passed(square, highpass_px, threads)
    return _low(square, work, kernels, threads), _low(square * square, work, kernels, threads)


def _in_square(image: FloatArray, outside: FloatArray) -> FloatArray:
    """The image, centred in a square that is filled with noise."""
    ny, nx = image.shape
    n = max(ny, nx)
    if outside.shape != (n * n - ny * nx,):
        raise InputError(f"{outside.size} numbers are given for {n * n - ny * nx} pixels around a micrograph")
    inside = np.zeros((n, n), bool)
    y, x = n // 2 - ny // 2, n // 2 - nx // 2
    inside[y : y + ny, x : x + nx] = True
    square = np.empty((n, n), np.float32)
    square[inside] = image.ravel()
    square[~inside] = outside
    return square


def _high_passed(image: FloatArray, width_px: float, threads: int) -> FloatArray:
    """Without what is wider than `width_px` pixels; the filter rises as a raised cosine."""
    n = len(image)
    spectrum = fft.rfft2(image, workers=threads)
    shell = np.hypot(np.fft.fftfreq(n, 1 / n)[:, None], np.arange(n // 2 + 1))
    start = round_half_away(n / width_px) - _FILTER_EDGE / 2
    rise = np.clip((shell - start) / _FILTER_EDGE, 0, 1)
    return np.asarray(
        fft.irfft2(spectrum * (0.5 - 0.5 * np.cos(np.pi * rise)), s=image.shape, workers=threads), np.float32
    )


def _low(image: FloatArray, work: int, kernels: Backend, threads: int) -> ComplexArray:
    """Transform of a square image up to the working grid's Nyquist frequency, over the number of pixels."""
    size = good_length(work + 2, 2)  # a margin, so that coefficients at Nyquist keep both parts
    small = image if size >= len(image) else kernels.fourier_crop(image, (size, size), 0.0, threads)
    spectrum = fft.rfft2(small, norm="forward", workers=threads)
    return np.asarray(window_spectrum(spectrum, small.shape, (work, work)), np.complex64)


def _inverse(spectrum: ComplexArray, work: int, threads: int) -> FloatArray:
    return np.asarray(fft.irfft2(spectrum, s=(work, work), norm="forward", workers=threads), np.float32)
