"""Two pages, or a page and RELION, on one file: nobody overwrites what he has not seen.

Whoever reads a file gets its revision with it and sends that back when saving. If the file is another one
by then, nothing is written, and the answer (409) tells the revision that is there now; sending that saves
over it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from boxwood.errors import InputError

ABSENT = "none"
_saving = threading.Lock()


class ConflictError(InputError):
    """A file was changed since it was read; the answer is 409.

    Attributes
    ----------
    revision : str
        Of the file as it is now.
    """

    def __init__(self, text: str, revision: str) -> None:
        super().__init__(text)
        self.revision = revision


def revision(*paths: Path) -> str:
    """Return what changes with the contents of files; "none" where none of them is there."""
    found = [path for path in paths if path.is_file()]
    if not found:
        return ABSENT
    digest = hashlib.blake2b(digest_size=12)
    for path in paths:
        digest.update(path.read_bytes() if path in found else b"-")
        digest.update(b"\0")
    return digest.hexdigest()


def save(expected: str, write: Callable[[], object], *paths: Path) -> str:
    """Write files, if they still are what `expected` says; return their new revision.

    Parameters
    ----------
    expected : str
        The revision that was read.
    write : callable
        Writes the files.
    paths : Path
        All files that `revision` was asked about, in the same order.

    Raises
    ------
    ConflictError
    """
    with _saving:
        now = revision(*paths)
        if now != expected:
            name = paths[0].name
            raise ConflictError(f"{name} was saved by somebody else after this page had read it", now)
        write()
        return revision(*paths)
