"""Pictures for the page: pyramids of micrographs cut into tiles, and sheets of small images.

A pyramid holds a micrograph in 8 bits at full size and halved again and again. Averaging four pixels halves
the noise, so every level has grey levels of its own: 0 and 255 are `SIGMAS` standard deviations from its
mean. The page narrows that range as contrast is asked for, with no request.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from boxwood.errors import InputError
from boxwood.imaging.fourier import forward, inverse, signed_frequencies
from boxwood.imaging.montage import montage, thumbnail
from boxwood.typing import AnyArray, FloatArray

SIGMAS = 6.0
# The coarsest level of a pyramid fits into a tile.
TILE_PX = 512
FORMATS = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_QUALITY = 90
_STRIP_PX = 1 << 18


@dataclass(frozen=True)
class Level:
    """A micrograph at one size.

    Attributes
    ----------
    pixels : (ny, nx) uint8
    mean, deviation : float
        Of the grey values: pixel p stands for mean + (p / 127.5 - 1) SIGMAS deviation.
    """

    pixels: AnyArray
    mean: float
    deviation: float

    def tile(self, column: int, row: int) -> AnyArray:
        """Cut out a tile of at most `TILE_PX` squared, counted from the first pixel.

        Raises
        ------
        InputError
            If there is none.
        """
        top, left = row * TILE_PX, column * TILE_PX
        pixels = self.pixels[top : top + TILE_PX, left : left + TILE_PX]
        if column < 0 or row < 0 or not pixels.size:
            raise InputError(f"there is no tile {column}, {row}")
        return pixels

    def values(self) -> FloatArray:
        """The grey values that the pixels stand for."""
        step = np.float32(SIGMAS * self.deviation / 127.5)
        return self.pixels * step + np.float32(self.mean - SIGMAS * self.deviation)


@dataclass(frozen=True)
class Pyramid:
    """A micrograph at all sizes; level 0 is the full one, and level n has 2^-n of its sides, rounded up."""

    levels: tuple[Level, ...]

    @property
    def nbytes(self) -> int:
        return sum(level.pixels.nbytes for level in self.levels)

    def tile(self, level: int, column: int, row: int) -> AnyArray:
        """Cut a tile out of a level; see `Level.tile`."""
        if not 0 <= level < len(self.levels):
            raise InputError(f"there is no level {level}")
        return self.levels[level].tile(column, row)

    def preview(self, longest_px: int) -> Level:
        """The finest level that is no longer than so many pixels, or the coarsest."""
        fitting = (level for level in self.levels if max(level.pixels.shape) <= longest_px)
        return next(fitting, self.levels[-1])


def make_pyramid(image: FloatArray) -> Pyramid:
    """Make all levels of a micrograph (ny, nx); pixels that are not finite are taken for the mean."""
    image = without_holes(image)
    levels = [make_level(image)]
    while max(image.shape) > TILE_PX:
        image = halve(image)
        levels.append(make_level(image))
    return Pyramid(tuple(levels))


def without_holes(image: FloatArray) -> FloatArray:
    """Replace pixels that are not finite by the mean of the others."""
    with np.errstate(invalid="ignore"):
        if np.isfinite(image.sum(dtype=np.float64)):
            return image
    finite = np.isfinite(image)
    mean = image[finite].mean(dtype=np.float64) if finite.any() else 0.0
    return np.where(finite, image, np.float32(mean))


def halve(image: FloatArray) -> FloatArray:
    """Average blocks of 2 x 2 pixels; an odd last row or column is repeated."""
    ny, nx = image.shape
    if ny % 2 or nx % 2:
        image = np.pad(image, ((0, ny % 2), (0, nx % 2)), mode="edge")
    half = np.empty((len(image) // 2, image.shape[1] // 2), np.float32)
    for strip in _strips(half):
        rows = image[2 * strip.start : 2 * strip.stop : 2] + image[2 * strip.start + 1 : 2 * strip.stop : 2]
        np.add(rows[:, 0::2], rows[:, 1::2], out=half[strip])
        half[strip] *= np.float32(0.25)
    return half


def make_level(image: FloatArray) -> Level:
    """Turn a finite image (ny, nx) into 8 bits."""
    mean = float(image.mean(dtype=np.float64))
    square = 0.0
    for strip in _strips(image):
        centred = image[strip] - np.float32(mean)
        square += float(np.vdot(centred, centred))
    if not np.isfinite(square):  # pixels that single precision cannot square
        square = image.size * float(image.var(dtype=np.float64))
    deviation = float(np.sqrt(square / image.size)) or 1.0
    scale = np.float32(127.5 / (SIGMAS * deviation))
    pixels = np.empty(image.shape, np.uint8)
    for strip in _strips(image):
        levels = (image[strip] - np.float32(mean)) * scale
        levels += np.float32(128.0)  # half a level more, since the cast cuts off
        pixels[strip] = np.clip(levels, 0, 255, out=levels)
    return Level(pixels, mean, deviation)


def _strips(image: AnyArray) -> Iterator[slice]:
    """Rows of an image in pieces that stay in the processor's cache."""
    rows = max(1, _STRIP_PX // image.shape[1])
    return (slice(start, min(start + rows, len(image))) for start in range(0, len(image), rows))


def band_pass(
    image: FloatArray, pixel_size_angstrom: float, low_pass_angstrom: float, high_pass_angstrom: float
) -> FloatArray:
    """Take out detail finer than the low-pass, and what changes more slowly than the high-pass.

    Gaussians halve the power at either resolution; 0 or less means no such filter. The mean stays.
    """
    if low_pass_angstrom <= 0 and high_pass_angstrom <= 0:
        return image
    image = without_holes(image)
    # A Gaussian of the frequency's square is a product of one along y and one along x.
    y, x = (signed_frequencies(n) / (n * pixel_size_angstrom) for n in image.shape)

    def gaussian(resolution: float) -> tuple[AnyArray, AnyArray]:
        falls = (np.exp(-np.log(2) * (resolution * f) ** 2) for f in (y[:, None], x[: len(x) // 2 + 1]))
        down, along = (fall.astype(np.float32) for fall in falls)
        return down, along

    spectrum = forward(image)
    mean = spectrum[0, 0]
    if low_pass_angstrom > 0:
        for factor in gaussian(low_pass_angstrom / np.sqrt(2)):
            spectrum *= factor
    if high_pass_angstrom > 0:
        down, along = gaussian(high_pass_angstrom)
        spectrum *= 1 - down * along
    spectrum[0, 0] = mean
    return inverse(spectrum, image.shape).astype(np.float32, copy=False)


def stretched(level: Level, sigma: float) -> AnyArray:
    """The pixels of a level with black and white `sigma` standard deviations from the mean, as 8 bits."""
    centred = (level.pixels.astype(np.float32) - 127.5) * np.float32(SIGMAS / sigma)
    return np.clip(centred + 128.0, 0, 255).astype(np.uint8)


def sheet(images: AnyArray, side_px: int, columns: int, sigma: float = 3.0) -> AnyArray:
    """Lay images (n, box, box) out in rows, each with grey levels of its own, scaled to `side_px`, no gaps.

    Returns
    -------
    (rows side_px, columns side_px) uint8
    """
    small = np.empty((len(images), side_px, side_px), np.uint8)
    for place, image in enumerate(images):
        small[place] = thumbnail(image, side_px, sigma)
    return montage(small, columns, gap_px=0, fill=0)


def encode(pixels: AnyArray, form: str = "jpeg") -> bytes:
    """Write grey (ny, nx) or coloured (ny, nx, 3) 8-bit pixels; PNG takes (ny, nx, 2), too.

    Raises
    ------
    InputError
        If it is another format.
    """
    if form not in FORMATS:
        raise InputError(f"pictures are made as {', '.join(FORMATS)}, not as {form}")
    stream = io.BytesIO()
    settings = {"compress_level": 1} if form == "png" else {"quality": _QUALITY}
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, form, **settings)
    return stream.getvalue()
