"""Write MRC images and stacks with the header RELION gives them.

Where RELION's headers break the MRC2014 rules ours keep them: cell z is one pixel and not 0, and the format
version is set. The label carries no time, so the same images make the same file.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType
from typing import BinaryIO

import mrcfile.dtypes
import numpy as np

from boxwood.errors import InputError
from boxwood.io.atomic import atomic_write
from boxwood.io.mrc_header import HEADER_BYTES
from boxwood.typing import AnyArray

_LABEL = b"boxwood"
_SMALLEST_HALF = np.float32(2.0**-14)  # below it float16 loses digits; RELION writes zero there
_LARGEST_HALF = np.float32(65504)


def to_float16(images: AnyArray) -> AnyArray:
    """Round to half precision as RELION does.

    Halves are rounded away from zero (NumPy rounds them to even), magnitudes below 2**-14 become zero with
    their sign, those above 65504 become 65504. NaN stays NaN.

    Parameters
    ----------
    images : array of float32

    Returns
    -------
    array of float16, of the same shape
    """
    values = np.array(images, dtype=np.float32)
    bits = values.view(np.uint32)
    nan = np.isnan(values)
    sign = bits & np.uint32(0x80000000)
    # float16 keeps 10 of the 23 bits of the fraction: add half of the last one kept, then cut.
    magnitude = ((bits & np.uint32(0x7FFFFFFF)) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)
    rounded = np.minimum(magnitude.view(np.float32), _LARGEST_HALF)
    rounded[np.abs(values) < _SMALLEST_HALF] = 0
    rounded[np.isinf(values)] = _LARGEST_HALF
    result = (rounded.view(np.uint32) | sign).view(np.float32).astype(np.float16)
    result[nan] = np.nan
    return result


class StackWriter:
    """Write an MRC stack image by image or batch by batch, whole or not at all.

    Use it in a ``with`` statement. Nothing is left of a stack whose block ends by an error, and a stack to
    which nothing was appended leaves no file. Statistics in the header are those RELION writes: minimum and
    maximum over all, mean of the images' means, root of the mean of the images' variances.

    Parameters
    ----------
    path : path
    pixel_size_angstrom : float
    float16 : bool
        Half precision (MRC mode 12), rounded by `to_float16`; otherwise float32 (mode 2).
    """

    def __init__(
        self, path: str | os.PathLike[str], pixel_size_angstrom: float, *, float16: bool = False
    ) -> None:
        if not (np.isfinite(pixel_size_angstrom) and pixel_size_angstrom > 0):
            raise InputError(
                f"the pixel size for {path} is {pixel_size_angstrom}, expected a positive number of Angstrom."
            )
        self.path = path
        self.pixel_size_angstrom = pixel_size_angstrom
        self.float16 = float16
        self.count = 0
        self._shape: tuple[int, int] | None = None
        self._low, self._high, self._means, self._variances = np.inf, -np.inf, 0.0, 0.0
        self._exit = ExitStack()
        self._file: BinaryIO | None = None

    def __enter__(self) -> StackWriter:
        return self

    def append(self, images: AnyArray) -> None:
        """Append one image (ny, nx) or several (n, ny, nx).

        Raises
        ------
        InputError
            Where the shape is not that of the images before.
        """
        images = np.asarray(images, dtype=np.float32)
        images = images[None] if images.ndim == 2 else images
        shape = self._shape or images.shape[1:]
        if images.ndim != 3 or images.shape[1:] != shape or 0 in images.shape[1:]:
            raise InputError(
                f"cannot append images of shape {images.shape} to {self.path}, expected (n, ny, nx)"
                + (f" with (ny, nx) = {self._shape}." if self._shape else ".")
            )
        if not len(images):
            return
        if self._file is None:
            self._file = self._exit.enter_context(atomic_write(self.path))
            self._file.write(bytes(HEADER_BYTES))
            self._shape = (images.shape[1], images.shape[2])
        pixels = to_float16(images) if self.float16 else images
        images = pixels.astype(np.float32, copy=False)  # the statistics are of what is written
        self._low = min(self._low, float(images.min()))
        self._high = max(self._high, float(images.max()))
        flat = images.reshape(len(images), -1)
        self._means += float(flat.mean(axis=1, dtype=np.float64).sum())
        self._variances += float(flat.var(axis=1, dtype=np.float64).sum())
        self.count += len(images)
        self._file.write(np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)).data)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is not None and error is None:
                self._file.seek(0)
                self._file.write(self._header())
        except BaseException as failure:
            self._exit.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._exit.__exit__(kind, error, trace)

    def _header(self) -> bytes:
        assert self._shape is not None
        header = np.zeros((), dtype=mrcfile.dtypes.HEADER_DTYPE.newbyteorder("<"))
        ny, nx = self._shape
        header["nx"], header["ny"], header["nz"] = nx, ny, self.count
        header["mode"] = 12 if self.float16 else 2
        header["mx"], header["my"], header["mz"] = nx, ny, 1
        pixel = self.pixel_size_angstrom
        header["cella"] = (nx * pixel, ny * pixel, pixel)
        header["cellb"] = (90, 90, 90)
        header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
        header["dmin"], header["dmax"] = self._low, self._high
        header["dmean"] = self._means / self.count
        header["rms"] = np.sqrt(self._variances / self.count)
        header["nversion"] = 20140
        header["map"] = b"MAP "
        header["machst"] = (0x44, 0x41, 0, 0)
        header["nlabl"] = 1
        header["label"][0] = _LABEL
        return header.tobytes()


def write_stack(
    path: str | os.PathLike[str], images: AnyArray, pixel_size_angstrom: float, float16: bool = False
) -> None:
    """Write a stack (n, ny, nx), or one image (ny, nx), to an MRC file, whole or not at all.

    Parameters
    ----------
    path : path
    images : (n, ny, nx) or (ny, nx) array of real numbers, n > 0
    pixel_size_angstrom : float
    float16 : bool
        Half precision instead of float32.
    """
    if not np.size(images):
        raise InputError(f"there is no image to write to {path}.")
    with StackWriter(path, pixel_size_angstrom, float16=float16) as writer:
        writer.append(images)
