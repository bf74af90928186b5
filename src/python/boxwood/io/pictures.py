"""Read TIFF and PNG images, through tifffile and Pillow.

TIFF counts rows from the top and MRC from the bottom. RELION turns TIFF images over on reading, so that
coordinates mean the same in both, and so do we. RELION does not read PNG; its rows stay as they are.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image as PillowImage

from boxwood.errors import FileFormatError
from boxwood.typing import AnyArray

_TIFF = (".tif", ".tiff")
PICTURES = (*_TIFF, ".png")
# Modes of Pillow whose pixels are grey values, not colours or their numbers.
_GREY = ("1", "L", "I", "I;16", "F")
# What the two libraries raise on damaged files.
_DAMAGED = (OSError, ValueError, LookupError, TypeError, RuntimeError, MemoryError, struct.error, zlib.error)


def read_picture(path: Path) -> AnyArray:
    """All images of a TIFF or PNG file.

    Returns
    -------
    (n, ny, nx) array of the stored type

    Raises
    ------
    FileFormatError
        The file is damaged, or holds colours or complex numbers.
    """
    pixels = _read_tiff(path) if path.suffix.lower() in _TIFF else _read_png(path)
    if not pixels.size:
        raise FileFormatError(f"{path} cannot be read: there are no pixels in it.")
    if pixels.dtype.kind not in "biuf":
        raise FileFormatError(f"{path} holds {pixels.dtype} pixels, expected real numbers; convert it first.")
    if pixels.ndim == 2:
        pixels = pixels[None]
    if pixels.ndim == 3 and pixels.shape[-1] > 4:
        return pixels[:, ::-1] if path.suffix.lower() in _TIFF else pixels
    raise FileFormatError(
        f"{path} has pixels of shape {pixels.shape}, expected grey images (n, ny, nx); convert it to grey."
    )


def _read_tiff(path: Path) -> AnyArray:
    try:
        return np.asarray(tifffile.imread(path))
    except FileNotFoundError:
        raise
    except (*_DAMAGED, tifffile.TiffFileError) as error:
        raise FileFormatError(f"{path} cannot be read as TIFF: {error}.") from None


def _read_png(path: Path) -> AnyArray:
    try:
        with PillowImage.open(path, formats=["PNG"]) as picture:
            mode, pixels = picture.mode, np.asarray(picture)
    except FileNotFoundError:
        raise
    except (*_DAMAGED, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise FileFormatError(f"{path} cannot be read as PNG: {error}.") from None
    if mode not in _GREY:
        raise FileFormatError(f"{path} is a PNG of mode {mode}, expected a grey image; convert it to grey.")
    return pixels
