"""Read micrographs and stacks of particles.

What is read where: TIFF (``.tif .tiff``) and PNG by their names, everything else as MRC, with ``.gz`` or
``.bz2`` decompressed. Row 0 is the first row of an MRC file, as in RELION (see `boxwood.io.pictures` for the
others). ``NUMBER@FILE`` names one image of a stack, numbers from 1.
Of uncompressed MRC stacks only the images asked for are read; every other file is read whole each time.
"""

from __future__ import annotations

import bz2
import gzip
import io
import math
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from boxwood.errors import FileFormatError, InputError
from boxwood.io.mrc_header import COMPRESSED, MrcHeader, read_header
from boxwood.io.pictures import PICTURES, read_picture
from boxwood.io.stacks import StackWriter, to_float16, write_stack
from boxwood.typing import AnyArray, FloatArray

_PIECE = 1 << 24

__all__ = [
    "Image",
    "ImageStack",
    "StackWriter",
    "read_image",
    "read_stack",
    "split_image_name",
    "to_float16",
    "write_stack",
]


@dataclass(frozen=True)
class Image:
    """One image.

    Attributes
    ----------
    data : (ny, nx) float32
    pixel_size_angstrom : float or None
        None where the file does not say.
    """

    data: FloatArray
    pixel_size_angstrom: float | None


class ImageStack:
    """The images of a file, read when asked for; no file stays open between calls.

    ``stack[i]`` is one image (ny, nx), ``stack[i:j]`` and ``stack[indices]`` are (n, ny, nx), all float32.

    Attributes
    ----------
    path : Path
    shape : (int, int, int)
        Images, rows, columns.
    pixel_size_angstrom : float or None
        None where the file does not say.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        pixel_size_angstrom: float | None,
        open_pixels: Callable[[], AnyArray | _Pixels],
    ) -> None:
        self.path = path
        self.shape = shape
        self.pixel_size_angstrom = pixel_size_angstrom
        self._open_pixels = open_pixels

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | AnyArray) -> FloatArray:
        return np.require(self._open_pixels()[index], np.float32, ["C", "W"])


def split_image_name(name: str) -> tuple[int | None, str]:
    """Split ``000003@stack.mrcs`` into the index from 0 and the file; the index is None without ``@``.

    Raises
    ------
    InputError
        Where the part before ``@`` is not a number from 1.
    """
    number, at, file = name.partition("@")
    if not at:
        return None, name
    if not (number.isascii() and number.isdigit() and int(number) > 0 and file):
        raise InputError(f"'{name}' does not name an image; expected NUMBER@FILE with numbers from 1.")
    return int(number) - 1, file


def read_stack(path: str | os.PathLike[str]) -> ImageStack:
    """Open a file with one or more images; an image alone is a stack of one.

    Raises
    ------
    FileFormatError
        The file cannot be read, or is truncated.
    """
    path = Path(path)
    if path.suffix.lower() in PICTURES:
        return ImageStack(path, read_picture(path).shape, None, partial(read_picture, path))
    header = read_header(path)
    opened = _decompressed if path.name.lower().endswith(COMPRESSED) else _Pixels
    return ImageStack(path, header.shape, header.pixel_size_angstrom, partial(opened, path, header))


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read one image, such as a micrograph or ``3@stack.mrcs``.

    Raises
    ------
    FileFormatError
        The file cannot be read, is truncated, or holds several images and none was chosen.
    """
    index, name = split_image_name(os.fspath(path))
    stack = read_stack(name)
    if index is None and len(stack) != 1:
        raise FileFormatError(
            f"{name} holds {len(stack)} images where one is expected; name one as 000001@{name}."
        )
    if index is not None and index >= len(stack):
        raise FileFormatError(f"{name} holds {len(stack)} images, so there is no image {index + 1}.")
    return Image(stack[index or 0], stack.pixel_size_angstrom)


class _Pixels:
    """The pixels of an uncompressed file, by image.

    They are read, not mapped: where a disk fails or a file is cut off, a mapped page ends the process.
    """

    def __init__(self, path: Path, header: MrcHeader) -> None:
        self._path, self._header = path, header

    def __getitem__(self, index: int | slice | AnyArray) -> AnyArray:
        numbers = np.arange(self._header.shape[0])[index]
        images = np.empty((numbers.size, *self._header.shape[1:]), self._header.dtype)
        size = math.prod(images.shape[1:]) * images.itemsize
        # What lies together is read at once.
        breaks = np.flatnonzero(np.diff(numbers.reshape(-1)) != 1) + 1
        with open(self._path, "rb", buffering=0) as file:
            for part, target in zip(
                np.split(numbers.reshape(-1), breaks), np.split(images, breaks), strict=True
            ):
                if part.size:
                    file.seek(self._header.offset + int(part[0]) * size)
                    self._fill(file, target)
        return images if numbers.ndim else images[0]

    def _fill(self, file: io.FileIO, target: AnyArray) -> None:
        rest = memoryview(target.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
        while rest:
            count = file.readinto(rest)  # may be less than asked for
            if not count:
                raise FileFormatError(f"{self._path} is truncated since its header was read; copy it again.")
            rest = rest[count:]


def _decompressed(path: Path, header: MrcHeader) -> AnyArray:
    """All pixels of a .gz or .bz2 file."""
    opened = gzip.open if path.suffix.lower() == ".gz" else bz2.open
    size = math.prod(header.shape) * header.dtype.itemsize
    try:
        with opened(path, "rb") as file:
            file.seek(header.offset)
            data = bytearray()
            # In pieces: what the header claims is not believed before it has come.
            while piece := file.read(min(_PIECE, size - len(data))):
                data += piece
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"{path} is truncated or damaged: {error}; copy it again.") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise FileFormatError(f"{path} is damaged: {error}; copy it again.") from None
    if len(data) < size:
        raise FileFormatError(f"{path} is truncated: {len(data)} of {size} bytes of pixels; copy it again.")
    return np.frombuffer(data, header.dtype).reshape(header.shape)
