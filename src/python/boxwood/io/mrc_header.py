"""What the header of an MRC file says about its pixels, told from what a broken header says.

The layout is mrcfile's; its reader would take as much memory for the extended header as garbage asks for. A
machine stamp may be wrong, so the byte order is the one in which mode and size make sense. The
identification ``MAP `` may be missing (MRC files older than 2000). Mode 0 with exactly four bytes a pixel
is float32: some programs forget to set the mode.
"""

from __future__ import annotations

import bz2
import gzip
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from boxwood.errors import FileFormatError

_DTYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_REFUSED = {3: "complex 16-bit integers", 4: "complex numbers", 101: "4-bit integers"}
_LARGEST = 1 << 20  # pixels along an edge; no image is larger, garbage is
HEADER_BYTES = 1024
COMPRESSED = (".gz", ".bz2")


@dataclass(frozen=True)
class MrcHeader:
    """Where and what the pixels of an MRC file are.

    Attributes
    ----------
    shape : (int, int, int)
        Sections, rows, columns.
    dtype : numpy.dtype
        As stored, with byte order.
    offset : int
        Bytes before the first pixel.
    pixel_size_angstrom : float or None
        None where the header's cell is not set.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    offset: int
    pixel_size_angstrom: float | None


def read_header(path: Path) -> MrcHeader:
    """Read and check the header of an MRC file, compressed or not.

    Raises
    ------
    FileFormatError
        The file is no MRC file, holds pixels we do not read, or is shorter than its header says.
    """
    compressed = path.name.lower().endswith(COMPRESSED)
    size = None if compressed else path.stat().st_size
    if size is not None and size < HEADER_BYTES:
        raise FileFormatError(
            f"{path} has {size} bytes and an MRC header alone has 1024: it is truncated or no MRC file; "
            "copy it again or leave it out."
        )
    header = _ordered(_raw_header(path))
    if header is None:
        raise FileFormatError(f"{path} is not an MRC file: its header makes no sense in either byte order.")
    mode = int(header["mode"])
    if mode not in _DTYPES:
        what = _REFUSED.get(mode, "an unknown type")
        raise FileFormatError(
            f"{path} has MRC mode {mode} ({what}), expected one of {sorted(_DTYPES)}; convert it first."
        )
    shape = (int(header["nz"]), int(header["ny"]), int(header["nx"]))
    dtype = np.dtype(_DTYPES[mode]).newbyteorder(header.dtype["mode"].byteorder)
    offset = HEADER_BYTES + int(header["nsymbt"])
    if size is not None:
        if mode == 0 and size - offset == 4 * math.prod(shape):
            dtype = np.dtype("f4").newbyteorder(dtype.byteorder)
        wanted = offset + math.prod(shape) * dtype.itemsize
        if size < wanted:
            raise FileFormatError(
                f"{path} is truncated: it has {size} bytes and its header asks for {wanted}; "
                "copy it again, or leave it out."
            )
    return MrcHeader(shape, dtype, offset, _pixel_size(header))


def _raw_header(path: Path) -> np.ndarray:
    """The header as it is, in the byte order that its machine stamp claims."""
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open}
    opened = openers.get(path.suffix.lower(), open)
    try:
        with opened(path, "rb") as file:
            data = file.read(HEADER_BYTES)
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the operating system's: no such file, no permission
        raise FileFormatError(f"{path} is not an MRC file: {error}.") from None
    if len(data) < HEADER_BYTES:
        raise FileFormatError(f"{path} is not an MRC file: it has {len(data)} bytes, and a header 1024.")
    header = np.frombuffer(data, HEADER_DTYPE).reshape(())
    order = ">" if header["machst"][0] == 0x11 else "<"
    return header.view(HEADER_DTYPE.newbyteorder(order))


def _ordered(header: np.ndarray) -> np.ndarray | None:
    """The header in the byte order in which it makes sense, or None."""
    for order in (header.dtype["mode"].byteorder, "<", ">"):
        view = header.view(header.dtype.newbyteorder(order))
        sizes = [int(view[name]) for name in ("nx", "ny", "nz")]
        sensible = all(0 < size <= _LARGEST for size in sizes[:2]) and 0 < sizes[2] < 1 << 28
        if sensible and 0 <= int(view["mode"]) <= 101 and 0 <= int(view["nsymbt"]) < 1 << 30:
            return view
    return None


def _pixel_size(header: np.ndarray) -> float | None:
    cell, samples = float(header["cella"]["x"]), int(header["mx"])
    if not (math.isfinite(cell) and cell > 0 and samples > 0):
        return None
    return cell / samples
