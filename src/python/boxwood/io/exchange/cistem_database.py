"""The database of a cisTEM project (NAME.db): where particles are, and the numbers of micrographs.

It is an SQLite file. ``PARTICLE_POSITION_ASSETS`` has positions in Angstrom and the number of a micrograph,
which ``IMAGE_ASSETS`` names. It is opened for reading only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from boxwood.errors import FileFormatError
from boxwood.io.atomic import write_text
from boxwood.io.exchange.picks import FOM, MICROGRAPH, Picks, X, Y, by_micrograph, numbers

_POSITIONS, _IMAGES = "PARTICLE_POSITION_ASSETS", "IMAGE_ASSETS"


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, for reading.

    Raises
    ------
    FileFormatError
        It is damaged, or lacks a table or column.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as database:
            yield database
    except (sqlite3.Error, UnicodeDecodeError) as error:  # names of columns are not guarded by sqlite3
        raise FileFormatError(
            f"{path} is no database of a cisTEM project, or damaged ({error}); give the project's NAME.db."
        ) from None


def read_cistem_database(path: str | os.PathLike[str]) -> list[Picks]:
    """Read the places of all particles of a project, in Angstrom.

    Raises
    ------
    FileFormatError
    """
    path = Path(path)
    with _opened(path) as database:
        columns = {str(row[1]) for row in database.execute(f"PRAGMA table_info({_POSITIONS})")}
        score = "p.PEAK_HEIGHT" if "PEAK_HEIGHT" in columns else "NULL"
        rows = database.execute(
            f"SELECT i.{_name(database)}, p.X_POSITION, p.Y_POSITION, {score} FROM {_POSITIONS} AS p "
            f"JOIN {_IMAGES} AS i ON p.PARENT_IMAGE_ASSET_ID = i.IMAGE_ASSET_ID "
            "ORDER BY p.PARENT_IMAGE_ASSET_ID, p.PARTICLE_POSITION_ASSET_ID"
        ).fetchall()
    table = pd.DataFrame(rows, columns=[MICROGRAPH, X, Y, FOM])
    for label in (X, Y):
        table[label] = numbers(table[label], label, f"{path} table {_POSITIONS}")
    if table[FOM].isna().any():
        table = table.drop(columns=FOM)
    return by_micrograph(table, str(path), lambda row: {"unit_angstrom": 1.0})


def read_cistem_micrographs(path: str | os.PathLike[str]) -> dict[str, int]:
    """Read the numbers of a project's micrographs, by their names.

    Raises
    ------
    FileFormatError
    """
    path = Path(path)
    with _opened(path) as database:
        rows = database.execute(f"SELECT {_name(database)}, IMAGE_ASSET_ID FROM {_IMAGES}").fetchall()
    return {str(name): int(number) for name, number in rows}


def _name(database: sqlite3.Connection) -> str:
    columns = {str(row[1]) for row in database.execute(f"PRAGMA table_info({_IMAGES})")}
    return "FILENAME" if "FILENAME" in columns else "NAME"


def write_cistem_positions(path: str | os.PathLike[str], tables: Mapping[int, pd.DataFrame]) -> None:
    """Write the text that cisTEM imports: the number of a micrograph, x and y in Angstrom."""
    lines = [
        f"{number} {x:.4f} {y:.4f}"
        for number, table in tables.items()
        for x, y in zip(table[X], table[Y], strict=True)
    ]
    write_text(Path(path), "".join(f"{line}\n" for line in lines))
