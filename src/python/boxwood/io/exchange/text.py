"""Coordinates in plain text: EMAN's .box, Topaz's tables, and any columns with or without names.

EMAN's boxes are x, y, width and height, with x and y the corner where both are smallest. Topaz writes
``image_name x_coord y_coord score``, separated by tabs: names without suffix, centres, in pixels of the image
that was picked, which is often a reduced one. Values may be separated by tabs, commas, semicolons or spaces;
lines that begin with ``#`` are comments.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from boxwood.errors import FileFormatError, InputError
from boxwood.io.atomic import write_text
from boxwood.io.exchange.picks import FOM, MICROGRAPH, Picks, X, Y, by_micrograph

# Names of columns in other programs' tables, in small letters.
_KNOWN = {
    "x": ("x", "x_coord", "xcoord", "x_center", "center_x", "coordinatex", "rlncoordinatex"),
    "y": ("y", "y_coord", "ycoord", "y_center", "center_y", "coordinatey", "rlncoordinatey"),
    "micrograph": ("image_name", "micrograph", "micrograph_name", "rlnmicrographname", "filename", "file",
                   "image", "name"),
    "score": ("score", "fom", "confidence", "probability", "rlnautopickfigureofmerit"),
}  # fmt: skip
TOPAZ_HEADER = ("image_name", "x_coord", "y_coord")


@dataclass(frozen=True)
class TextColumns:
    """Which columns hold what: names from the header, or numbers from 1; None where it is to be found out."""

    x: str | None = None
    y: str | None = None
    micrograph: str | None = None
    score: str | None = None


def lines_of(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number (from 1) and values of every line that is neither empty nor a comment.

    Raises
    ------
    FileFormatError
        The file is not text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise FileFormatError(f"{path} is not text; give a file with coordinates.") from None
    if "\0" in text:
        raise FileFormatError(f"{path} is not text; give a file with coordinates.")
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, _values(line)


def _values(line: str) -> list[str]:
    if "\t" in line:
        return [cell.strip() for cell in line.split("\t") if cell.strip()]
    for separator in ",;":
        if separator in line:
            cells = [c.strip() for c in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]
            while cells and not cells[-1]:  # a separator at the end of the line
                cells.pop()
            return cells
    return line.split()


def read_box(path: str | os.PathLike[str]) -> Picks:
    """Read EMAN's boxes of one micrograph; they become centres, x + width/2 and y + height/2.

    A fifth value is a score where crYOLO's old .cbox files have one, and has no meaning in .box files.

    Raises
    ------
    FileFormatError
    """
    path = Path(path)
    scored = path.suffix.lower() == ".cbox"
    rows, width = [], 0.0
    for number, words in lines_of(path):
        values = _numbers(words[: 4 + scored], path, number, "x, y, width and height", 4)
        x, y, width, height = values[:4]
        if width < 0 or height < 0:
            raise FileFormatError(
                f"{path} line {number}: the box is {width:g} x {height:g} pixels; correct its size."
            )
        rows.append((x + width / 2, y + height / 2, *values[4:]))
    columns = [X, Y, FOM] if scored and rows and len(rows[0]) == 3 else [X, Y]
    if any(len(row) != len(columns) for row in rows):
        raise FileFormatError(f"{path} has scores in some lines only; complete or remove them.")
    table = pd.DataFrame(rows, columns=columns, dtype="float64")
    return Picks(path.stem, table, str(path), diameter=width or None)


def read_text(
    path: str | os.PathLike[str], columns: TextColumns | None = None, *, topaz: bool = False
) -> list[Picks]:
    """Read centres of particles from columns of text, of one micrograph or of several.

    With a header the columns are found by their names. Without one, a first column that is not a number
    names the micrographs, and x and y come next.

    Raises
    ------
    FileFormatError, InputError
    """
    path = Path(path)
    lines = list(lines_of(path))
    if not lines:
        return [Picks(path.stem, pd.DataFrame({X: [], Y: []}, dtype="float64"), str(path))]
    first, header = lines[0][1], None
    if len(first) > 1 and not any(_is_number(word) for word in first):
        header, lines = first, lines[1:]
    if topaz and (header is None or not {*TOPAZ_HEADER} <= {*header}):
        raise FileFormatError(f"{path} line 1: expected the header {' '.join(TOPAZ_HEADER)}, found none.")
    place = _places(columns or TextColumns(), header, lines[0][1] if lines else (), path)
    needed = max(place.values()) + 1
    wanted = "x and y" if set(place) == {"x", "y"} else f"{needed} values"
    rows = []
    for number, words in lines:
        if len(words) < needed:
            raise _expected(wanted, path, number, words)
        cells = [words[place[name]] for name in ("x", "y", "score") if name in place]
        values = _numbers(cells, path, number, wanted, len(cells))
        rows.append((*values, *([words[place["micrograph"]]] if "micrograph" in place else [])))
    labels = {"x": X, "y": Y, "score": FOM, "micrograph": MICROGRAPH}
    table = pd.DataFrame(rows, columns=[labels[name] for name in labels if name in place])
    if "micrograph" not in place:
        return [Picks(path.stem, table.astype("float64"), str(path))]
    return by_micrograph(table, str(path))


def _places(
    columns: TextColumns, header: Sequence[str] | None, first: Sequence[str], path: Path
) -> dict[str, int]:
    """Positions of the columns, from 0, in the order x, y, score, micrograph."""
    if header is None:
        named = len(first) > 2 and not _is_number(first[0])
        guess = {"x": 0 + named, "y": 1 + named, **({"micrograph": 0} if named else {})}
        if named and len(first) > 3:
            guess["score"] = 3
    else:
        small = [word.lower().lstrip("_") for word in header]
        guess = {what: small.index(n) for what, names in _KNOWN.items() for n in names if n in small}
    given = {name: getattr(columns, name) for name in ("x", "y", "score", "micrograph")}
    for name, column in given.items():
        if column is not None:
            guess[name] = _position(column, header, path)
    if "x" not in guess or "y" not in guess:
        raise InputError(
            f"{path} has the columns {', '.join(header or ())[:200]}; say with x_column and y_column which "
            "of them hold x and y."
        )
    return {name: guess[name] for name in given if name in guess}


def _position(column: str, header: Sequence[str] | None, path: Path) -> int:
    if header is not None and column in header:
        return list(header).index(column)
    if column.isdecimal() and int(column) > 0:
        return int(column) - 1
    there = (
        f"its columns are {', '.join(header)}"[:200] if header else "it has no header; give a number from 1"
    )
    raise InputError(f"{path} has no column {column!r}: {there}.")


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _numbers(words: Sequence[str], path: Path, line: int, wanted: str, count: int) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) < count or not all(map(math.isfinite, values)):
        raise _expected(wanted, path, line, words)
    return values


def _expected(wanted: str, path: Path, line: int, words: Sequence[str]) -> FileFormatError:
    found = " ".join(words)[:60]
    return FileFormatError(f"{path} line {line}: expected {wanted}, found '{found}'; repair it.")


def write_box(path: str | os.PathLike[str], table: pd.DataFrame, box: int) -> None:
    """Write EMAN's boxes around the centres of a table, in pixels."""
    rows = zip(table[X] - box / 2, table[Y] - box / 2, strict=True)
    write_text(Path(path), "".join(f"{shortest(x)}\t{shortest(y)}\t{box}\t{box}\n" for x, y in rows))


def write_columns(
    path: str | os.PathLike[str], tables: Mapping[str, pd.DataFrame], *, topaz: bool = False
) -> None:
    """Write the centres of particles on several micrographs in one table with names.

    Topaz's table has tabs, names without suffix, and always a score; the other is CSV with whole names.

    Raises
    ------
    InputError
        Topaz would take two micrographs for one.
    """
    separator = "\t" if topaz else ","
    scored = topaz or any(FOM in table for table in tables.values())
    header = [*(TOPAZ_HEADER if topaz else ("micrograph", "x", "y")), *(["score"] if scored else [])]
    named: dict[str, str] = {}
    lines = [separator.join(header)]
    for micrograph, table in tables.items():
        name = Path(micrograph).stem if topaz else micrograph
        if named.setdefault(name, micrograph) != micrograph:
            raise InputError(
                f"{named[name]} and {micrograph} would both be called {name}; export them apart."
            )
        scores = table.get(FOM, pd.Series(0.0, index=table.index))
        for x, y, score in zip(table[X], table[Y], scores, strict=True):
            values = [shortest(value) for value in ([x, y, score] if scored else [x, y])]
            lines.append(separator.join([_quoted(name, separator), *values]))
    write_text(Path(path), "\n".join(lines) + "\n")


def _quoted(name: str, separator: str) -> str:
    if separator in name or '"' in name:
        return '"' + name.replace('"', '""') + '"'
    return name


def shortest(value: float) -> str:
    """A number with as many digits as are needed for four decimals."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
