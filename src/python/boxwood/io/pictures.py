"""Read TIFF and PNG images, through tifffile and Pillow.

TIFF counts rows from the top and MRC from the bottom. RELION turns TIFF images over on reading, so that
coordinates mean the same in both, and so do we. RELION does not read PNG; its rows stay as they are.
"""

from __future__ import annotations

import errno
import math
import os
import struct
import warnings
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
# Neither deflate nor LZW makes more of a byte.
_MOST_COMPRESSED = 1400
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
        _check_pages(path)
        with tifffile.TiffFile(path) as file:
            _check_size(path, sum(series.nbytes for series in file.series[:1]))
            return np.asarray(file.asarray())
    except Exception as error:  # what tifffile raises for damaged bytes has no end
        raise _refusal(path, "TIFF", error) from None


def _check_pages(path: Path) -> None:
    """Refuse a file whose pages go round in a circle, which tifffile would follow for ever.

    Raises
    ------
    FileFormatError
    """
    with open(path, "rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = struct.unpack(order + "H", head[2:4])[0] == 43
        count_format, place_format = (order + "Q", order + "Q") if big else (order + "H", order + "I")
        tag_bytes = 20 if big else 12
        count_bytes, place_bytes = struct.calcsize(count_format), struct.calcsize(place_format)
        place = struct.unpack(place_format, head[8 if big else 4 :][:place_bytes])[0]
        seen = set()
        while place:
            if place in seen:
                raise FileFormatError(f"{path} cannot be read as TIFF: its pages go round in a circle.")
            seen.add(place)
            file.seek(place)
            data = file.read(count_bytes)
            if len(data) < count_bytes:
                return  # tifffile says what else is wrong
            file.seek(struct.unpack(count_format, data)[0] * tag_bytes, os.SEEK_CUR)
            data = file.read(place_bytes)
            place = struct.unpack(place_format, data)[0] if len(data) == place_bytes else 0


def _check_size(path: Path, claimed_bytes: int) -> None:
    """Refuse a header that claims more pixels than can be in the file, before memory is taken for them.

    Raises
    ------
    FileFormatError
    """
    size = path.stat().st_size
    if claimed_bytes > _MOST_COMPRESSED * size:
        raise FileFormatError(
            f"{path} cannot be read: its header claims {claimed_bytes} bytes of pixels, in a file of {size}."
        )


def _refusal(path: Path, kind: str, error: Exception) -> Exception:
    """What to raise for it: the operating system's errors and our own as they are."""
    if isinstance(error, FileFormatError):
        return error
    # A place before the file's beginning, which damaged bytes point to, is the system's "invalid argument".
    if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
        return error
    return FileFormatError(f"{path} cannot be read as {kind}: {error}.")


def _read_png(path: Path) -> AnyArray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)  # see `_check_size`
            with PillowImage.open(path, formats=["PNG"]) as picture:
                _check_size(path, math.prod(picture.size))
                mode, pixels = picture.mode, np.asarray(picture)
    except (*_DAMAGED, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise _refusal(path, "PNG", error) from None
    if mode not in _GREY:
        raise FileFormatError(f"{path} is a PNG of mode {mode}, expected a grey image; convert it to grey.")
    return pixels
