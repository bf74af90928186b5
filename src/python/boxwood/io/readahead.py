"""Have files read from disk while something else is computed."""

from __future__ import annotations

import os

# Linux cuts a longer request down to the device's read-ahead, which is this much unless it was set.
_CHUNK = 128 * 1024


def read_ahead(path: str | os.PathLike[str]) -> None:
    """Ask the system to bring a file into its cache, and return at once.

    Where the system knows no such request, or there is no such file, nothing happens: who reads the file will
    say what is wrong with it.
    """
    if not hasattr(os, "posix_fadvise"):
        return
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        for start in range(0, os.fstat(file).st_size, _CHUNK):
            os.posix_fadvise(file, start, _CHUNK, os.POSIX_FADV_WILLNEED)
    except OSError:
        pass  # a file system without a cache, or a folder
    finally:
        os.close(file)
