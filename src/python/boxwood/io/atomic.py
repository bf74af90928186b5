"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a binary file that takes its name only when it is complete.

    The bytes go to a temporary file in the same folder (a rename is atomic only within one file system),
    are forced to disk, and the file is renamed. On any error, Ctrl-C included, nothing is left behind and
    a former file of that name stays as it was. Missing folders are made; a link keeps pointing at its file.

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
        with open(temporary, "x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a small UTF-8 text file, whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())
