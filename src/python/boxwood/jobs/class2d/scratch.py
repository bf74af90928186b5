"""Particles copied to a local disk for as long as they are classified.

The copy is a file without a name: nothing else can meet it, and the system frees its room when the process
ends, however it ends.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from boxwood.errors import InputError
from boxwood.execution import Failure, map_ordered
from boxwood.io.mrc import ImageStack, read_pixels
from boxwood.io.mrc_header import MrcHeader
from boxwood.io.space import free_bytes, in_words
from boxwood.stopping import check_stop
from boxwood.typing import AnyArray

if TYPE_CHECKING:
    from boxwood.io.particle_images import ParticleImages
    from boxwood.jobs.context import JobContext

# Bytes that a thread copies at once: a long read, and a short wait for an abort.
_PIECE = 1 << 24


@dataclass(frozen=True)
class _Section:
    """Images of one type and size, one after the other in the file.

    Attributes
    ----------
    rows : (n,) int
        Of the particles, in their order.
    dtype : numpy.dtype
        As in the stacks, with byte order: float16 stays float16.
    box : int
    offset : int
        Bytes before the first.
    """

    rows: AnyArray
    dtype: np.dtype
    box: int
    offset: int

    @property
    def image_bytes(self) -> int:
        return self.box**2 * self.dtype.itemsize

    def pieces(self) -> Iterator[tuple[_Section, int, int]]:
        """The section, and the first and last + 1 image of each part of it."""
        step = max(1, _PIECE // self.image_bytes)
        for first in range(0, len(self.rows), step):
            yield self, first, min(first + step, len(self.rows))


@contextmanager
def copied(
    images: ParticleImages, folder: Path | None, keep_free_bytes: float, context: JobContext
) -> Iterator[None]:
    """Have particles read from a copy in `folder` during the block; without a folder, from where they are.

    If not all of them fit, the first are copied, and that is told. What cannot be read stays where it is, to
    be named by who needs it.

    Raises
    ------
    InputError
        The folder is none, or cannot be written to.
    """
    if folder is None:
        yield
        return
    sections = _sections(images)
    needed = sum(len(section.rows) * section.image_bytes for section in sections)
    with _nameless(folder) as file:
        sections = _reserve(file, folder, sections, needed, keep_free_bytes, context)
        _copy(images, file, sections, context)
        yield


def _nameless(folder: Path) -> BinaryIO:
    try:
        return tempfile.TemporaryFile(dir=folder)
    except OSError as error:
        raise InputError(f"scratch is {folder}, which cannot be written to ({error.strerror})") from error


def _sections(images: ParticleImages) -> list[_Section]:
    """What would be copied, if all of it could be."""
    rows = np.flatnonzero(images.usable)
    dtypes = [np.dtype(dtype) for dtype in images.dtypes]
    kinds = list(dict.fromkeys(dtypes))
    kind = np.array([kinds.index(dtype) for dtype in dtypes], dtype=np.int64)[images.file_of_row[rows]]
    sections, offset = [], 0
    for number, dtype in enumerate(kinds):
        of_kind = rows[kind == number]
        for box in np.unique(images.boxes[of_kind]):
            section = _Section(of_kind[images.boxes[of_kind] == box], dtype, int(box), offset)
            sections.append(section)
            offset += len(section.rows) * section.image_bytes
    return sections


def _first(sections: list[_Section], room: float) -> list[_Section]:
    """Those images, in the order of the particles, for which there is room."""
    if not sections:
        return []
    size = np.zeros(1 + max(int(section.rows.max()) for section in sections), dtype=np.int64)
    for section in sections:
        size[section.rows] = section.image_bytes
    last = int(np.searchsorted(np.cumsum(size), room, side="right"))
    kept, offset = [], 0
    for section in sections:
        rows = section.rows[section.rows < last]
        if len(rows):
            kept.append(_Section(rows, section.dtype, section.box, offset))
            offset += len(rows) * section.image_bytes
    return kept


def _reserve(
    file: BinaryIO,
    folder: Path,
    sections: list[_Section],
    needed: int,
    keep_free_bytes: float,
    context: JobContext,
) -> list[_Section]:
    """Take the room on the disk, and return what fits into it."""
    free = free_bytes(folder)
    room = float(needed) if free is None else min(free - keep_free_bytes, needed)
    while room > 0 and (fitting := _first(sections, room)):
        total = sum(len(section.rows) * section.image_bytes for section in fitting)
        try:
            os.posix_fallocate(file.fileno(), 0, total)
            break
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise InputError(
                    f"scratch is {folder}, where no room can be had ({error.strerror})"
                ) from error
            os.truncate(file.fileno(), 0)
            room /= 2  # somebody else took some, or a quota is in the way
    else:
        fitting = []
    some, all_rows = (sum(len(s.rows) for s in part) for part in (fitting, sections))
    if some < all_rows:
        context.warn(
            f"the {all_rows} particles take {in_words(needed)}, and the disk of {folder} has "
            f"{in_words(free or 0)} free, of which {in_words(keep_free_bytes)} are kept free: "
            + (f"only the first {some} are copied there" if some else "none is copied there")
            + ", and the others read from where they are; make room, or lower --keep-free-scratch"
        )
    return fitting


def _copy(images: ParticleImages, file: BinaryIO, sections: list[_Section], context: JobContext) -> None:
    """Copy in parallel, and have the images read from there."""
    total = sum(len(section.rows) for section in sections)
    pieces = [piece for section in sections for piece in section.pieces()]
    there = {section.offset: np.zeros(len(section.rows), dtype=bool) for section in sections}
    done = failed = 0
    with closing(map_ordered(partial(_copy_piece, images, file), pieces, context.threads)) as work:
        for result in work:
            section, first, last = result.item
            if isinstance(result.result, Failure):
                failed += last - first
            else:
                there[section.offset][first:last] = True
            done += last - first
            context.progress(done, total, "particles copied to the scratch disk")
    for section in sections:
        copied_here = np.flatnonzero(there[section.offset])
        shape = (len(section.rows), section.box, section.box)
        header = MrcHeader(shape, section.dtype, section.offset, None)
        stack = ImageStack(
            _path(file), shape, None, section.dtype, partial(_Copy, file, header), section.offset
        )
        images.move(section.rows[copied_here], stack, copied_here)
    if failed:
        context.warn(f"{failed} particles could not be copied, and are read from where they are")
    if total:
        size = sum(len(section.rows) * section.image_bytes for section in sections)
        context.log(f"{total - failed} particles ({in_words(size)}) are read from their copy")


def _copy_piece(images: ParticleImages, file: BinaryIO, piece: tuple[_Section, int, int]) -> None:
    section, first, last = piece
    check_stop()
    pixels = images.stored(section.rows[first:last], section.dtype)
    rest = memoryview(pixels.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    position = section.offset + first * section.image_bytes
    while rest:
        count = os.pwrite(file.fileno(), rest, position)
        rest, position = rest[count:], position + count


class _Copy:
    """The images of a section, read by any thread; of this process alone, so it cannot be pickled."""

    def __init__(self, file: BinaryIO, header: MrcHeader) -> None:
        self._file, self._header = file, header

    def __getitem__(self, index: int | slice | AnyArray) -> AnyArray:
        return read_pixels(_path(self._file), self._header, index)


def _path(file: BinaryIO) -> Path:
    """By which the file without a name can be opened anew, for a position of its own."""
    return Path(f"/proc/self/fd/{file.fileno()}")
