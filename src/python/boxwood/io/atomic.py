"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from boxwood.errors import JobError
from boxwood.stopping import check_stop

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Bytes that are forced to disk at once; few, because nothing can interrupt that.
_PIECE = 1 << 25
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_REMEDIES = {
    errno.ENOSPC: "make room on that disk, then go on with --continue",
    errno.EDQUOT: "make room in your quota, then go on with --continue",
    errno.EACCES: "give yourself the right to write there, or work in a copy",
    errno.EPERM: "give yourself the right to write there, or work in a copy",
    errno.EROFS: "work in a copy on a disk that can be written to",
}


@contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Run a block that does no more than write this file.

    Raises
    ------
    JobError
        Where the operating system refuses; it names the file and what to do.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "look after that disk")
        raise JobError(f"{os.fspath(path)} cannot be written ({reason}); {remedy}") from error


class _File(io.BufferedRandom):
    """A file that is not written on when the process is asked to stop."""

    def __init__(self, path: Path, name: Path) -> None:
        super().__init__(io.FileIO(path, "x+"))
        _lock(self.fileno())  # until it is closed, by the death of the process, too
        self._name, self._unforced = name, 0

    def write(self, data: ReadableBuffer, /) -> int:
        whole = memoryview(data).cast("B")
        for start in range(0, len(whole), _PIECE):
            check_stop()
            with writing(self._name):
                self._unforced += super().write(whole[start : start + _PIECE])
            if self._unforced >= _PIECE:
                self.force()
        return len(whole)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        with writing(self._name):  # what is buffered is written first
            return super().seek(offset, whence)

    def force(self) -> None:
        """Wait until what was written is on disk."""
        with writing(self._name):
            self.flush()
            os.fsync(self.fileno())
        self._unforced = 0


def _lock(file: int) -> bool:
    """Lock a file; False if another process has, or the file system knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def remove_unfinished(files: Iterable[Path]) -> None:
    """Delete those that `atomic_write` had begun in a process that was killed; others stay as they are."""
    for path in files:
        if _UNFINISHED.fullmatch(path.name):
            with suppress(OSError), path.open("rb") as file:
                if _lock(file.fileno()):
                    path.unlink()


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

    Raises
    ------
    JobError
        If the file cannot be written: a full disk, a folder or an older file that is write-protected.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    with writing(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        file = _File(temporary, Path(path))
    try:
        yield file
        check_stop()
        file.force()
        file.close()
        with writing(path):
            os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):  # on a full disk what is still buffered cannot be written
            file.close()
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a small UTF-8 text file, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())


def move(source: Path, target: Path) -> None:
    """Rename a file, link or folder; on another disk, too, it appears there whole or not at all.

    Only when the copy is complete and on disk is the source removed.

    Raises
    ------
    JobError
        Where the operating system refuses.
    """
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.replace(source, target)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            if _is_folder(source):
                shutil.copytree(source, temporary, symlinks=True, copy_function=_copy)
            else:
                _copy(source, temporary)
            os.replace(temporary, target)
        except BaseException:
            _remove(temporary)
            raise
    with writing(source):
        _remove(source)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _copy(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Copy a file with its times, or a link as a link."""
    check_stop()
    with writing(target):
        shutil.copy2(source, target, follow_symlinks=False)
        if not os.path.islink(target):
            with open(target, "rb") as file:
                os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
