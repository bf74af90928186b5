"""A micrograph made ready for picking: coarse grid, flat background, contamination masked."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from boxwood.backends import Backend
from boxwood.errors import InputError
from boxwood.picking.adaptive.contamination import clean_area
from boxwood.picking.adaptive.filters import Bank, bank, disc, gaussian_bank, join, plane_sum
from boxwood.typing import AnyArray, DoubleArray, FloatArray

_FIRST_CLIP, _SECOND_CLIP = 6.0, 4.5  # standard deviations, before and after the background is subtracted
_LEAST_FACTOR = 0.9  # of the grid's pixels over the micrograph's: less than 1 by rounding
_LEAST_DEVIATION = 0.3  # of the usual one


@dataclass(frozen=True)
class Prepared:
    """A micrograph on the grid that suits a diameter.

    Attributes
    ----------
    image : (ny, nx) float32
        Particles bright, background 0, standard deviation about 1, 0 where masked.
    mask : (ny, nx) float32
        0 where contaminated, else 1.
    deviation : (ny, nx) float32
        Local standard deviation, over about one diameter.
    inside : (ny, nx) float32
        Which part of a particle there would lie on the clean area, 0 to 1.
    diameter_px : float
        Of a particle, on this grid.
    scale : (2,) float64
        Micrograph pixels per grid pixel, along y and x.
    """

    image: FloatArray
    mask: FloatArray
    deviation: FloatArray
    inside: FloatArray
    diameter_px: float
    scale: DoubleArray

    @property
    def shape(self) -> tuple[int, int]:
        """ny, nx of the grid."""
        return self.image.shape[0], self.image.shape[1]

    @cached_property
    def is_clean(self) -> bool:
        """Whether nothing is masked."""
        return bool(self.mask.all())


def coarse(image: FloatArray, factor: float, backend: Backend, threads: int) -> FloatArray:
    """The image, less its mean, on a grid whose pixels are `factor` times as large; 1 or less: as it is.

    Raises
    ------
    InputError
        If pixels are not finite.
    """
    mean = float(image.mean(axis=1).mean(dtype=np.float64))
    if not np.isfinite(mean):
        bad = image.size - int(np.isfinite(image).sum())
        raise InputError(f"{bad} of the micrograph's {image.size} pixels are not finite; leave it out")
    if factor <= 1:
        return image - np.float32(mean)
    shape = (2 * round(image.shape[0] / factor / 2), 2 * round(image.shape[1] / factor / 2))
    return backend.fourier_crop(image, shape, mean, threads)


def prepare(
    image: FloatArray,
    pixel_size_angstrom: float,
    diameter_angstrom: float,
    pixels_per_diameter: float,
    *,
    white_particles: bool = False,
    backend: Backend,
    threads: int = 1,
) -> Prepared:
    """Coarsen, flatten and mask a micrograph.

    Parameters
    ----------
    image : (ny, nx) float32
    pixel_size_angstrom, diameter_angstrom : float
    pixels_per_diameter : float
        Of the grid.
    white_particles : bool
    backend, threads : Backend, int

    Raises
    ------
    InputError
        As `coarse`; also where the micrograph is smaller than a particle or its pixels are larger than the
        grid's, nothing of it is clean, or it has no contrast.
    """
    grid = diameter_angstrom / pixels_per_diameter
    factor = grid / pixel_size_angstrom
    if factor < _LEAST_FACTOR:
        raise InputError(
            f"the micrograph's pixels of {pixel_size_angstrom:.3g} A are larger than those of {grid:.3g} A "
            "with which particles were learned; learn from micrographs of this pixel size"
        )
    if min(image.shape) * pixel_size_angstrom < diameter_angstrom:
        raise InputError(
            f"a micrograph of {image.shape[1]} x {image.shape[0]} pixels is too small for particles of "
            f"{diameter_angstrom:.0f} A"
        )
    small = coarse(image, factor, backend, threads)
    scale = np.array(image.shape) / np.array(small.shape)
    size = diameter_angstrom / pixel_size_angstrom / float(scale.mean())
    small = _standardised(small, None) * np.float32(1 if white_particles else -1)
    small = np.clip(small, -_FIRST_CLIP, _FIRST_CLIP)
    mask = clean_area(small, size, backend, threads)
    if mask.mean() < 0.02:
        raise InputError("nearly all of the micrograph is contamination or carbon; leave it out")
    smooth = gaussian_bank(size)
    weight, inside = around(mask, size, backend, threads)
    background = smooth.apply(small * mask, backend, threads)[0][0] / weight
    flat = (small - background) * mask
    flat = np.clip(_standardised(flat, mask), -_SECOND_CLIP, _SECOND_CLIP)
    return Prepared(flat, mask, _deviation(flat, mask, weight, smooth, backend, threads), inside, size, scale)


def prepare_clean(image: FloatArray, diameter_px: float, backend: Backend, threads: int = 1) -> Prepared:
    """An image that is on the right grid, flat and clean already, such as synthetic noise."""
    mask = np.ones_like(image)
    weight, inside = around(mask, diameter_px, backend, threads)
    deviation = _deviation(image, mask, weight, gaussian_bank(diameter_px), backend, threads)
    return Prepared(image, mask, deviation, inside, diameter_px, np.ones(2))


def around(
    mask: FloatArray, diameter_px: float, backend: Backend, threads: int
) -> tuple[FloatArray, FloatArray]:
    """Share of the mask near each pixel: under a Gaussian of one diameter, and within half of one."""
    if mask.all():
        return _around_clean(mask.shape, diameter_px, backend, threads)
    return _around(mask, diameter_px, backend, threads)


@lru_cache(maxsize=4)
def _around_clean(
    shape: tuple[int, int], diameter_px: float, backend: Backend, threads: int
) -> tuple[FloatArray, FloatArray]:
    """`around` of a micrograph without contamination: only its size matters."""
    shares = _around(np.ones(shape, np.float32), diameter_px, backend, threads)
    for share in shares:
        share.setflags(write=False)
    return shares


def _around(
    mask: FloatArray, diameter_px: float, backend: Backend, threads: int
) -> tuple[FloatArray, FloatArray]:
    half = disc(diameter_px / 2)
    both = join(gaussian_bank(diameter_px), bank([half / plane_sum(half)], [0], None, diameter_px / 2))
    (weight, inside), _ = both.apply(mask, backend, threads)
    return np.maximum(weight, np.float32(1e-3)), inside


def _deviation(
    flat: FloatArray, mask: FloatArray, weight: FloatArray, smooth: Bank, backend: Backend, threads: int
) -> FloatArray:
    variance = smooth.apply(flat * flat, backend, threads)[0][0] / weight
    usual = float(np.median(variance[mask > 0]))
    return np.sqrt(np.maximum(variance, np.float32(usual * _LEAST_DEVIATION**2)))


def _standardised(image: AnyArray, mask: FloatArray | None) -> FloatArray:
    """Over its robust standard deviation about its median, or about 0 within a mask."""
    every = (slice(None, None, 2),) * 2  # a quarter of the pixels tells as much
    values = image[every] if mask is None else image[every][mask[every] > 0]
    middle = float(np.median(values)) if mask is None else 0.0
    deviation = 1.4826 * float(np.median(np.abs(values - middle)))
    if not deviation > 0:
        raise InputError("the micrograph has no contrast, so nothing can be found; leave it out")
    return (image - np.float32(middle)) / np.float32(deviation)
