"""crYOLO's .cbox: a STAR file with boxes around particles.

``data_global`` has the version and ``data_cryolo`` the boxes: the corner where x and y are smallest, width
and height in pixels of the micrograph, y along the rows of the MRC file, and ``_Confidence``. What is not
known is ``<NA>``. Older versions wrote a .box file with the confidence as fifth column.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from boxwood.errors import FileFormatError
from boxwood.io.atomic import write_text
from boxwood.io.exchange.picks import FOM, Picks, X, Y, numbers
from boxwood.io.exchange.text import read_box
from boxwood.io.star import read_star

_MISSING = "<NA>"
_COLUMNS = (
    "CoordinateX", "CoordinateY", "CoordinateZ", "Width", "Height", "Depth", "EstWidth", "EstHeight",
    "Confidence", "NumBoxes", "Angle",
)  # fmt: skip


def read_cbox(path: str | os.PathLike[str]) -> Picks:
    """Read the boxes of one micrograph; they become centres, x + width/2 and y + height/2.

    Raises
    ------
    FileFormatError
        There are no boxes, or those of a tomogram.
    """
    path = Path(path)
    head = path.read_bytes()[:4096]
    if b"data_" not in head and head.strip():
        return read_box(path)
    table = read_star(path).get("cryolo")
    if table is None:
        table = {}
    boxes = pd.DataFrame([table]) if isinstance(table, dict) and table else pd.DataFrame(table)
    if not len(boxes):
        return Picks(path.stem, pd.DataFrame({X: [], Y: []}, dtype="float64"), str(path))
    for name in _COLUMNS[:2] + _COLUMNS[3:5]:
        if name not in boxes:
            raise FileFormatError(f"{path} table data_cryolo has no _{name}; give crYOLO's .cbox file.")
    if "CoordinateZ" in boxes and boxes["CoordinateZ"].astype(str).nunique() > 1:
        raise FileFormatError(
            f"{path} has boxes in several slices: it is of a tomogram; give a micrograph's."
        )
    x, y, width, height = (
        numbers(boxes[name], name, f"{path} table data_cryolo") for name in _COLUMNS[:2] + _COLUMNS[3:5]
    )
    centres = pd.DataFrame({X: x + width / 2, Y: y + height / 2})
    if "Confidence" in boxes and (boxes["Confidence"].astype(str) != _MISSING).all():
        centres[FOM] = numbers(boxes["Confidence"], "Confidence", f"{path} table data_cryolo")
    return Picks(path.stem, centres, str(path), diameter=float(np.median(width)) or None)


def write_cbox(path: str | os.PathLike[str], table: pd.DataFrame, box: int) -> None:
    """Write boxes around the centres of a table, in pixels, as crYOLO does."""
    scores = table[FOM] if FOM in table else [_MISSING] * len(table)
    lines = ["", "data_global", "", "_cbox_format_version 1.0", "", "data_cryolo", "", "loop_"]
    lines += [f"_{name} #{number}" for number, name in enumerate(_COLUMNS, 1)]
    for x, y, score in zip(table[X] - box / 2, table[Y] - box / 2, scores, strict=True):
        size = f"{float(box)} {float(box)}"
        lines.append(f"{x!r} {y!r} {_MISSING} {size} {_MISSING} {size} {score} {_MISSING} {_MISSING}")
    lines += ["", "data_cryolo_include", "", "loop_", "_slice_index #1", ""]
    write_text(Path(path), "\n".join(lines))
