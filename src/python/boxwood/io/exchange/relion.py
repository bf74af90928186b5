"""Coordinates in STAR files with RELION's labels, as crYOLO, Topaz and others write them, too."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from boxwood.errors import FileFormatError
from boxwood.io.exchange.picks import FOM, MICROGRAPH, Picks, X, Y, by_micrograph, numbers
from boxwood.io.star import read_star


def read_star_picks(path: str | os.PathLike[str]) -> list[Picks]:
    """Read coordinates of one micrograph, or of those that the table names.

    Raises
    ------
    FileFormatError
    """
    path = Path(path)
    tables = read_star(path)
    frames = [pd.DataFrame([t]) if isinstance(t, dict) else t for t in tables.values()]
    found = next((table for table in frames if X in table and Y in table), None)
    if found is None:
        if tables:
            raise FileFormatError(f"{path} has no table with _{X} and _{Y}; give a file with coordinates.")
        found = pd.DataFrame({X: [], Y: []})
    columns = {label: numbers(found[label], label, str(path)) for label in (X, Y)}
    if FOM in found:
        columns[FOM] = numbers(found[FOM], FOM, str(path))
    table = pd.DataFrame(columns)
    if MICROGRAPH not in found:
        return [Picks(path.stem, table, str(path))]
    return by_micrograph(table.assign(**{MICROGRAPH: found[MICROGRAPH].astype(str).to_numpy()}), str(path))
