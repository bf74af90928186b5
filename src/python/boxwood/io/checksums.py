"""Checksums of files: of all bytes, or of samples of large images, where all would take too long."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

_PIECE = 1 << 20
# Larger images are looked at in so many places, their beginning and end among them.
SAMPLED_ABOVE_BYTES, _SAMPLES, _SAMPLE_BYTES = 1 << 22, 16, 1 << 16


def checksum(path: str | os.PathLike[str], *, sampled: bool = False) -> dict[str, Any]:
    """Return the size of a file and the SHA-256 of its contents.

    Parameters
    ----------
    path : path
    sampled : bool
        Of a file above 4 MiB, take only 16 pieces of 64 KiB at equal distances: another image, a truncated or
        a newly processed one differs there, a single changed bit need not.

    Returns
    -------
    dict
        ``bytes``, and ``sha256`` or ``sha256_of_samples``.

    Raises
    ------
    OSError
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not sampled or size <= SAMPLED_ABOVE_BYTES:
            while piece := file.read(_PIECE):
                digest.update(piece)
            return {"bytes": size, "sha256": digest.hexdigest()}
        for i in range(_SAMPLES):
            file.seek((size - _SAMPLE_BYTES) * i // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return {"bytes": size, "sha256_of_samples": digest.hexdigest()}


def changed(path: str | os.PathLike[str], before: Mapping[str, Any]) -> str:
    """Return how a file differs from the one whose `checksum` was `before`; "" if it does not."""
    try:
        now = checksum(path, sampled="sha256_of_samples" in before)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if now["bytes"] != before["bytes"]:
        return f"has {now['bytes']} bytes, no longer {before['bytes']}"
    return "" if now == before else "has other contents"
