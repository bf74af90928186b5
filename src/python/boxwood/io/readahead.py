"""Have files read from disk while something else is computed."""

from __future__ import annotations

import os
from collections.abc import Iterable

# Linux cuts a longer request down to the device's read-ahead, which is this much unless it was set.
_CHUNK = 128 * 1024


def read_ahead(path: str | os.PathLike[str], parts: Iterable[tuple[int, int]] | None = None) -> None:
    """Ask the system to bring a file into its cache, and return at once.

    Where the system knows no such request, or there is no such file, nothing happens: who reads the file will
    say what is wrong with it.

    Parameters
    ----------
    path : path
    parts : iterable of (first, last + 1), optional
        Bytes of it; default: all.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        for first, end in [(0, os.fstat(file).st_size)] if parts is None else parts:
            for start in range(first, end, _CHUNK):
                os.posix_fadvise(file, start, min(_CHUNK, end - start), os.POSIX_FADV_WILLNEED)
    except OSError:
        pass  # a file system without a cache, or a folder
    finally:
        os.close(file)
