"""Files that appear whole or not at all."""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from boxwood.stopping import check_stop

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Bytes that are forced to disk at once; few, because nothing can interrupt that.
_PIECE = 1 << 25


class _File(io.BufferedRandom):
    """A file that is not written on when the process is asked to stop."""

    _unforced = 0

    def write(self, data: ReadableBuffer, /) -> int:
        whole = memoryview(data).cast("B")
        for start in range(0, len(whole), _PIECE):
            check_stop()
            self._unforced += super().write(whole[start : start + _PIECE])
            if self._unforced >= _PIECE:
                self.force()
        return len(whole)

    def force(self) -> None:
        """Wait until what was written is on disk."""
        self.flush()
        os.fsync(self.fileno())
        self._unforced = 0


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes its name only when it is complete.

    The bytes go to a temporary file in the same folder (a rename is atomic only within one file system),
    are forced to disk, and the file is renamed. On any error, Ctrl-C included, nothing is left behind and
    a former file of that name stays as it was. Missing folders are made; a link keeps pointing at its file.
    A process that was asked to stop (`boxwood.stopping`) writes no more of it.

    Parameters
    ----------
    path : path

    Yields
    ------
    binary file, open for reading and writing
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with _File(io.FileIO(temporary, "x+")) as file:
            yield file
            check_stop()
            file.force()
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a small UTF-8 text file, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())
