"""Transforms, windows and shifts of images in the conventions of docs/conventions.md.

Spectra are half-complex, (..., ny, nx//2 + 1), unshifted, with the forward transform scaled by 1/(ny nx).
The Nyquist row of an even side stands for the frequency +n/2.
"""

from typing import Any

import numpy as np

from boxwood.errors import InputError
from boxwood.typing import AnyArray, FloatArray


def centred_indices(n: int) -> AnyArray:
    """Pixel indices relative to the origin, which is pixel n//2: -(n//2), ..., n - n//2 - 1."""
    return np.arange(n) - n // 2


def signed_frequencies(n: int) -> AnyArray:
    """Frequencies of a transform of length n in its own order, as integers; n/2 of an even n is positive."""
    k = np.arange(n)
    return np.where(k <= n // 2, k, k - n)


def forward(images: AnyArray) -> AnyArray:
    """Half-complex transform of real images (..., ny, nx), scaled by 1/(ny nx)."""
    return np.fft.rfft2(images, norm="forward")


def inverse(spectra: AnyArray, shape: tuple[int, int]) -> AnyArray:
    """Real images (..., ny, nx) of half-complex spectra; the inverse of `forward`, unscaled."""
    return np.fft.irfft2(spectra, s=shape, axes=(-2, -1), norm="forward")


def frequency_grid(shape: tuple[int, int], pixel_size_angstrom: float = 1.0) -> FloatArray:
    """Spatial frequencies of a half-complex spectrum.

    Parameters
    ----------
    shape : (ny, nx)
        Of the real image.
    pixel_size_angstrom : float

    Returns
    -------
    (ny, nx//2 + 1, 2) float32
        x and y in 1/Angstrom, as `Backend.ctf` wants them once flattened to (m, 2).
    """
    ny, nx = shape
    grid = np.empty((ny, nx // 2 + 1, 2), np.float32)
    grid[..., 0] = np.arange(nx // 2 + 1) / (nx * pixel_size_angstrom)
    grid[..., 1] = (signed_frequencies(ny) / (ny * pixel_size_angstrom))[:, None]
    return grid


def window_spectrum(spectra: AnyArray, shape: tuple[int, int], new_shape: tuple[int, int]) -> AnyArray:
    """Crop or pad half-complex spectra by copying coefficients of equal signed frequency.

    Padding leaves an old Nyquist row at +n/2 only; cropping keeps the coefficient at +n'/2. With the 1/N
    scaling of `forward`, grey values keep their meaning and only the pixel size changes, to a n/n'.

    Parameters
    ----------
    spectra : (..., ny, nx//2 + 1)
    shape, new_shape : (ny, nx)
        Of the real images before and after.
    """
    (ny, nx), (my, mx) = shape, new_shape
    if spectra.shape[-2:] != (ny, nx // 2 + 1):
        raise InputError(
            f"a spectrum of {spectra.shape[-2:]} coefficients cannot belong to an image of shape {shape}, "
            f"which has {(ny, nx // 2 + 1)}"
        )
    rows = signed_frequencies(min(ny, my))
    columns = min(nx, mx) // 2 + 1
    windowed = np.zeros((*spectra.shape[:-2], my, mx // 2 + 1), spectra.dtype)
    windowed[..., rows % my, :columns] = spectra[..., rows % ny, :columns]
    return windowed


def window(images: AnyArray, new_shape: tuple[int, int], fill: float = 0.0) -> AnyArray:
    """Crop or pad images (..., ny, nx) in real space; origin (pixel n//2) stays on origin."""
    windowed = np.full((*images.shape[:-2], *new_shape), fill, images.dtype)
    source: list[Any] = [...]
    target: list[Any] = [...]
    for old, new in zip(images.shape[-2:], new_shape, strict=True):
        first = max(-(old // 2), -(new // 2))
        last = min(old - old // 2, new - new // 2)
        source.append(slice(old // 2 + first, old // 2 + last))
        target.append(slice(new // 2 + first, new // 2 + last))
    windowed[tuple(target)] = images[tuple(source)]
    return windowed


def shift(images: AnyArray, offsets: AnyArray) -> AnyArray:
    """Move the content of images periodically by a sub-pixel offset, as multiplication by exp(-2 pi i f t).

    Parameters
    ----------
    images : (..., ny, nx)
    offsets : (..., 2)
        x and y in pixels; what was at pixel p comes to pixel p + t.
    """
    ny, nx = images.shape[-2:]
    tx, ty = np.moveaxis(np.asarray(offsets, np.float64), -1, 0)[..., None]
    along_x = np.exp(-2j * np.pi * tx * np.arange(nx // 2 + 1) / nx)
    along_y = np.exp(-2j * np.pi * ty * signed_frequencies(ny) / ny)
    moved = forward(images) * (along_y[..., :, None] * along_x[..., None, :])
    return inverse(moved, (ny, nx)).astype(images.dtype)
