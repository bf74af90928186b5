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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from boxwood.errors import FileFormatError, InputError
from boxwood.io.mrc_header import COMPRESSED, MrcHeader, read_header
from boxwood.io.pictures import PICTURES, read_picture
from boxwood.io.readahead import read_ahead
from boxwood.io.stacks import StackWriter, to_float16, write_stack
from boxwood.typing import AnyArray, FloatArray

_PIECE = 1 << 24
# Bytes between two images that are read and dropped: that takes no longer than another request to the disk.
_GAP = 1 << 18
# Bytes of one read that drops some.
_SWEEP = 1 << 24

__all__ = [
    "Image",
    "ImageStack",
    "StackWriter",
    "read_image",
    "read_pixels",
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


class Pixels(Protocol):
    """An array of images, or what reads them when asked."""

    def __getitem__(self, index: Any, /) -> AnyArray: ...


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
    dtype : numpy.dtype
        Of the pixels as they are stored, with byte order.
    offset : int or None
        Bytes before the first pixel; None where pixels are not in the file as they are.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        pixel_size_angstrom: float | None,
        dtype: np.dtype,
        open_pixels: Callable[[], Pixels],
        offset: int | None = None,
    ) -> None:
        self.path = path
        self.shape = shape
        self.pixel_size_angstrom = pixel_size_angstrom
        self.dtype = dtype
        self.offset = offset
        self._open_pixels = open_pixels

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | AnyArray) -> FloatArray:
        return np.require(self.stored(index), np.float32, ["C", "W"])

    def stored(self, index: int | slice | AnyArray) -> AnyArray:
        """The same in the type of the file."""
        return self._open_pixels()[index]

    def read_ahead(self, numbers: AnyArray) -> None:
        """Have images (n,) read from disk while something else is done, where that can be."""
        if self.offset is None:
            return
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        sweeps = [numbers[part] for part in _sweeps(numbers, size)]
        parts = [(self.offset + int(n[0]) * size, self.offset + (int(n[-1]) + 1) * size) for n in sweeps]
        read_ahead(self.path, parts)


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
        picture = read_picture(path)
        return ImageStack(path, picture.shape, None, picture.dtype, partial(read_picture, path))
    header = read_header(path)
    compressed = path.name.lower().endswith(COMPRESSED)
    opened: Callable[[Path, MrcHeader], Pixels] = _decompressed if compressed else _Uncompressed
    return ImageStack(
        path,
        header.shape,
        header.pixel_size_angstrom,
        header.dtype,
        partial(opened, path, header),
        None if compressed else header.offset,
    )


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


class _Uncompressed:
    """The pixels of an uncompressed file, by image."""

    def __init__(self, path: Path, header: MrcHeader) -> None:
        self._path, self._header = path, header

    def __getitem__(self, index: int | slice | AnyArray) -> AnyArray:
        return read_pixels(self._path, self._header, index)


def read_pixels(path: Path, header: MrcHeader, index: int | slice | AnyArray) -> AnyArray:
    """Images of an uncompressed file, in the type of the file.

    They are read, not mapped: where a disk fails or a file is cut off, a mapped page ends the process. What
    lies together is read at once, and so is what lies between images that are nearly together.

    Raises
    ------
    FileFormatError
        The file has become shorter than `header` says.
    """
    numbers = np.arange(header.shape[0])[index]
    images = np.empty((numbers.size, *header.shape[1:]), header.dtype)
    size = math.prod(images.shape[1:]) * images.itemsize
    with open(path, "rb", buffering=0) as file:
        for part in _sweeps(numbers.reshape(-1), size):
            first, last = int(numbers.reshape(-1)[part][0]), int(numbers.reshape(-1)[part][-1])
            alone = last - first + 1 == part.stop - part.start
            target = images[part] if alone else np.empty((last - first + 1, *images.shape[1:]), images.dtype)
            file.seek(header.offset + first * size)
            _fill(file, target, path)
            if not alone:
                images[part] = target[numbers.reshape(-1)[part] - first]
    return images if numbers.ndim else images[0]


def _sweeps(numbers: AnyArray, size: int) -> Iterator[slice]:
    """Parts of image numbers (n,), each of which is read from its first image to its last; size in bytes."""
    step = np.diff(numbers)
    breaks = np.flatnonzero((step < 1) | ((step - 1) * size > _GAP)) + 1
    first = 0
    for end in (*breaks.tolist(), len(numbers)):
        while first < end:
            reach = int(np.searchsorted(numbers[first:end], numbers[first] + max(1, _SWEEP // size)))
            dense = numbers[end - 1] - numbers[first] == end - first - 1
            last = end if dense else first + reach
            yield slice(first, last)
            first = last


def _fill(file: io.FileIO, target: AnyArray, path: Path) -> None:
    rest = memoryview(target.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    while rest:
        count = file.readinto(rest)  # may be less than asked for
        if not count:
            raise FileFormatError(f"{path} is truncated since its header was read; copy it again.")
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
