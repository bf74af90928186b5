"""How much room there is on a disk, and how much is needed, in words."""

from __future__ import annotations

import os
from pathlib import Path


def free_bytes(folder: str | os.PathLike[str]) -> int | None:
    """Bytes that may still be written below `folder`, which need not be there yet.

    None where the file system does not tell. A quota may leave less.
    """
    place = Path(os.path.abspath(folder))
    while not place.exists():
        place = place.parent
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize if found.f_blocks else None


def in_words(count: float) -> str:
    """Bytes with three digits, in units of 1000: "12.3 GB"."""
    units = ("bytes", "kB", "MB", "GB", "TB", "PB")
    for unit in units[:-1]:
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} {units[-1]}"
