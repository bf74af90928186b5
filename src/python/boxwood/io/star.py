"""Read and write STAR files as RELION 3.0 to 5 write them.

Tables are those of the `starfile` package (`starfile.typing.DataBlock`): a pandas DataFrame for a loop, a
dictionary for a list, in a dictionary keyed by table name; what one package returns the other accepts.
The parser and the formatter are our own, because measurement decided so. For a particles.star of
1,000,000 rows and 20 columns (316 MB) `starfile.read` takes 8 s of processor time and `starfile.write` 48 s,
these 5 s and 9 s (benchmarks/bench_star.py), and starfile's reading needs three times the memory. On real
files starfile fails (tabs inside values, rows without their last column) or, worse, quietly changes what it
reads: a short row is filled with nan, a long one shifts the columns, ``#`` and apostrophes inside a name end
or alter it, and a micrograph called ``0001`` becomes the number 1. The tests compare the two packages on
every file that both can read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from starfile.typing import DataBlock as Table

from boxwood.errors import FileFormatError
from boxwood.io.atomic import atomic_write
from boxwood.io.star_format import Columns, format_table, is_empty, table_header
from boxwood.io.star_parse import parse_star, parse_star_file

__all__ = ["Table", "ends_too_soon", "read_star", "read_star_table", "write_star"]

_HEAD = 1 << 16  # bytes in which a file shows whose labels it has
_TAIL = 1 << 10  # bytes, more than the blanks at its end


def read_star(path: str | os.PathLike[str], until: str = "") -> dict[str, Table]:
    """Read all tables of a STAR file.

    Parameters
    ----------
    path : path
    until : str
        Leave out the first table whose name begins so, and all after it: models have many that few ask for.

    Returns
    -------
    dict of table name to DataFrame (loop) or dict (list)
        Names come without ``data_``, labels without the leading underscore. RELION's labels have the types
        of `boxwood.io.labels`; a column of another program is numeric where every value is a plain number.
        A file without any table gives an empty dictionary: RELION writes an empty file for "no particles".

    Raises
    ------
    FileFormatError
        One sentence with file, table, line and the way out.
    FileNotFoundError, PermissionError
        From the operating system.
    """
    with open(path, "rb") as file:
        if until:
            return parse_star(file.read().partition(f"\ndata_{until}".encode())[0], str(path))
        return parse_star_file(file, str(path))


def read_star_table(path: str | os.PathLike[str], *names: str) -> Table:
    """Read one table of a STAR file: the first of `names` that is there.

    Raises
    ------
    FileFormatError
        Where none of them is in the file.
    """
    tables = read_star(path)
    for name in names:
        if name in tables:
            return tables[name]
    wanted = " or ".join(f"data_{name}" for name in names)
    found = ", ".join(f"data_{name}" for name in tables) or "no table"
    raise FileFormatError(f"{path} has {found}, but {wanted} is needed: give the file that holds it.")


def ends_too_soon(path: str | os.PathLike[str]) -> bool:
    """Whether a file of RELION's labels ends within a line, as one that was cut off does.

    It may be read all the same: what is missing cannot be seen in the rows before. Whoever writes such
    files ends every line.
    """
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - _TAIL))
        if file.read().rstrip(b" \t").endswith((b"\n", b"\r")):
            return False
        file.seek(0)
        return b"\n_rln" in file.read(_HEAD).replace(b"\r", b"\n")


def write_star(
    path: str | os.PathLike[str],
    tables: Mapping[str, Table | Columns],
    *,
    dialect: str = "3.1",
    comments: Sequence[str] = (),
) -> None:
    """Write tables exactly as RELION formats them, whole or not at all.

    Parameters
    ----------
    path : path
    tables : mapping of table name to DataFrame, dict, or dict of arrays
        Written in this order; arrays are columns. Tables without rows are left out, as RELION does; with
        no table left the file is empty. Numbers lose digits as they do in RELION (``%12.6f`` and the
        like); columns that are not RELION's keep every bit.
    dialect : {"3.1", "5"}
        Decides the version comment.
    comments : sequence of str
        Lines for the head of the file, without ``# ``.

    Raises
    ------
    InputError
        For an unknown dialect, or a value that no STAR file can hold.
    """
    with atomic_write(path) as file:
        for comment in comments:
            file.write(f"# {comment}\n".encode())
        for name, table in tables.items():
            if not is_empty(table):
                file.write(table_header(name, dialect).encode())
                for piece in format_table(name, table):
                    file.write(piece.encode())
