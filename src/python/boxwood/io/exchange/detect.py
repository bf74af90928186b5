"""Which program wrote a file, by what is in it."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from boxwood.errors import FileFormatError
from boxwood.io.exchange.text import TOPAZ_HEADER, lines_of

FORMATS = ("star", "eman", "text", "topaz", "cbox", "cistem", "cryosparc", "mrc")
SUFFIXES = (".star", ".box", ".txt", ".csv", ".tsv", ".coord", ".pick", ".cbox", ".db", ".cs")
_START = 1 << 16  # bytes that are looked at
_STAR = re.compile(r"^\s*data_", re.MULTILINE)


def format_of(path: str | os.PathLike[str]) -> str:
    """One of FORMATS: ``star`` is RELION's, ``text`` columns with or without names.

    An empty file is no picks in the format of its suffix.

    Raises
    ------
    FileFormatError
        Nothing is known that looks like it.
    """
    path = Path(path)
    with open(path, "rb") as file:
        start = file.read(_START)
    suffix = path.suffix.lower()
    if start[1:6] in (b"NUMPY", b"CSDAT"):
        return "cryosparc"
    if start.startswith(b"SQLite format 3\0"):
        return "cistem"
    if suffix in (".mrc", ".mrcs"):
        return "mrc"
    text = start.decode("utf-8", errors="replace")
    if _STAR.search(text):
        if "_cisTEM" in text:
            return "cistem"
        return "cbox" if "data_cryolo" in text else "star"
    by_suffix = {".star": "star", ".box": "eman", ".cbox": "cbox", ".cs": "cryosparc", ".db": "cistem"}
    if suffix in by_suffix:
        return by_suffix[suffix]
    if b"\0" in start:
        raise FileFormatError(f"{path} is of no format that can be imported; say which one with --format.")
    first = next((words for _, words in lines_of(path)), [])
    if {*TOPAZ_HEADER} <= {*first}:
        return "topaz"
    return "eman" if _are_boxes(path) else "text"


def _are_boxes(path: Path) -> bool:
    """Whether lines are x, y and two sizes that are whole, the same in all lines, and not small."""
    sizes = set()
    for _, words in lines_of(path):
        try:
            values = [float(word) for word in words]
        except ValueError:
            return False
        if len(values) not in (4, 5) or not all(map(math.isfinite, values)):
            return False
        sizes.add((values[2], values[3]))
    width, height = sizes.pop() if len(sizes) == 1 else (0.0, 0.0)
    return width == height and width >= 8 and width == int(width)
