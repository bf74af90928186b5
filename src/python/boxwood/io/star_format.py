"""From tables to the text RELION writes, digit for digit.

Floating-point numbers take 12 characters: ``%12.6f``, for negative ones ``%12.5f``; below 0.001 and above
100,000 in magnitude ``%12.6e`` and ``%12.5e``. RELION cuts what is longer off, which turns 1e-105 into
1.0e-10; here only digits of the fraction are ever cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from starfile.typing import DataBlock as Table

from boxwood.errors import InputError
from boxwood.io.labels import kind_of
from boxwood.typing import AnyArray

Columns = dict[str, AnyArray]

# RELION 3.0 does not say its version.
VERSIONS = {"3.0": "", "3.1": "\n# version 30001\n", "5": "\n# version 50001\n"}
_ROWS = 4096  # rows formatted at once: enough to amortise, few enough to stay in the cache
_FEW = 100  # rows up to which formatting one by one is faster than looking at the column first
_FIRST = frozenset("\"'#_dl")  # values that start like a quote, comment, label, data_ or loop_
_FORMATS = ("%12.6f", "%12.5f", "%12.6e", "%12.5e")


def table_header(name: str, dialect: str) -> str:
    """The lines that open a table."""
    if dialect not in VERSIONS:
        raise InputError(f"dialect is '{dialect}', expected '3.0', '3.1' or '5'; name RELION's version.")
    return f"{VERSIONS[dialect]}\ndata_{name}\n\n"


def format_table(name: str, table: Table | Columns) -> Iterator[str]:
    """The text of a table below its header, in pieces."""
    try:
        yield from (_format_loop(table) if is_loop(table) else _format_list(table))
    except _NotWritable as error:
        raise InputError(f"table data_{name}: {error}") from None


def is_loop(table: Table | Columns) -> bool:
    """Whether a table has rows: a DataFrame, or, cheaper where there are many, a dictionary of arrays."""
    return isinstance(table, pd.DataFrame) or isinstance(next(iter(table.values()), None), np.ndarray)


def is_empty(table: Table | Columns) -> bool:
    """Whether nothing is in a table."""
    return len(table) == 0 or (is_loop(table) and len(next(iter(table.items()))[1]) == 0)


class _NotWritable(Exception):
    pass


def _format_list(values: dict[str, Any]) -> Iterator[str]:
    width = max(map(len, values)) + 13
    for label, value in values.items():
        if kind_of(label) == "float" or (isinstance(value, float) and kind_of(label) != "str"):
            text = _float(float(value))
        elif isinstance(value, (int, np.integer, np.bool_)) and kind_of(label) != "str":
            text = f"{int(value):12d}"
        else:
            text = _quoted(label, value)
        yield f"_{label:<{width - 1}}{text}\n"
    yield " \n"


def _format_loop(table: pd.DataFrame | Columns) -> Iterator[str]:
    yield "loop_ \n" + "".join(f"_{label} #{i} \n" for i, label in enumerate(table, 1))
    columns = {label: _plain(column) for label, column in table.items()}
    n = len(next(iter(columns.values()), ()))
    for start in range(0, n, _ROWS):
        part = slice(start, start + _ROWS)
        texts, formats = zip(
            *(_column(label, values[part]) for label, values in columns.items()), strict=True
        )
        row = " ".join(formats) + " \n"
        yield row * len(texts[0]) % tuple(chain.from_iterable(zip(*texts, strict=True)))
    yield " \n"


def _plain(column: pd.Series | AnyArray) -> Any:
    """Numbers as a NumPy array, other columns as the array that pandas keeps them in."""
    if isinstance(column, np.ndarray):
        return column
    numeric = isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf"
    return column.to_numpy() if numeric else column.array


def _column(label: Any, values: Any) -> tuple[list[Any], str]:
    """Values of a column, and one format for all of them."""
    kind = kind_of(label)
    numeric = isinstance(values, np.ndarray) and values.dtype.kind in "biuf"
    if kind == "str" or (kind is None and not numeric):
        return _texts(label, pd.Series(values).to_numpy(dtype=object).tolist()), "%10s"
    values = values if numeric else _numbers(label, pd.Series(values))
    if kind in ("int", "bool") and values.dtype.kind == "f" and (values == np.trunc(values)).all():
        values = values.astype(np.int64)
    if kind == "float" or (values.dtype.kind == "f" and kind is not None):
        return _floats(values)
    if values.dtype.kind == "f":
        return [_exact(value) for value in values.tolist()], "%12s"
    return values.tolist(), "%12d"


def _exact(value: float) -> str:
    """The fewest digits that are read as this number again."""
    short = f"{value:.15g}"
    return short if float(short) == value else repr(value)


def _numbers(label: str, column: pd.Series) -> np.ndarray[Any, Any]:
    try:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise _NotWritable(f"_{label} holds values that are not numbers; give a numeric column.") from None


def _floats(values: np.ndarray[Any, Any]) -> tuple[list[Any], str]:
    values = values.astype(np.float64)
    if len(values) < _FEW:
        return [_float(value) for value in values.tolist()], "%s"
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    if 4 * len(starts) < len(values):  # long runs: one defocus, one scale for many rows
        runs = np.array([_float(value) for value in values[starts].tolist()], dtype=object)
        return np.repeat(runs, np.diff(starts, append=len(values))).tolist(), "%s"
    size = np.abs(values)
    code = (values < 0) + 2 * ((size > 1e5) | ((size < 1e-3) & (size > 0)))
    long = np.flatnonzero((code < 2) & (size > 99999))  # may take more than 12 characters
    if not len(long) and (code == code[0]).all():
        return values.tolist(), _FORMATS[code[0]]
    formats = map(_FORMATS.__getitem__, code.tolist())
    text = [form % value for form, value in zip(formats, values.tolist(), strict=True)]
    for i in long:
        text[i] = text[i][:12]
    return text, "%s"


def _float(value: float) -> str:
    size = abs(value)
    text = _FORMATS[(value < 0) + 2 * (size > 1e5 or 0 < size < 1e-3)] % value
    return text if "e" in text else text[:12]


def _texts(label: Any, values: list[Any]) -> list[str]:
    """All values as `_quoted` gives them; most columns need no quotes, and that is told at once."""
    try:
        line = " ".join(values)
    except TypeError:  # not all are text
        return [_quoted(label, value) for value in values]
    if line.isprintable() and line.split() == values and _FIRST.isdisjoint(map(itemgetter(0), values)):
        return values
    return [_quoted(label, value) for value in values]


def _quoted(label: Any, value: Any) -> str:
    """Text as one value: quoted where it is empty, has spaces, or would be read as something else."""
    text = "" if value is None or value is pd.NA or value != value else str(value)
    if not text.isprintable() and (len(text.splitlines()) > 1 or any(c in "\n\r\0\x1f" for c in text)):
        raise _NotWritable(f"_{label} has a line break or control character in {text!r}; remove it.")
    bare = text and text[0] not in "\"'#_" and text != "loop_" and not text.startswith("data_")
    if bare and not any(c.isspace() for c in text):
        return text
    if '"' not in text:
        return f'"{text}"'
    if "'" not in text:
        return f"'{text}'"
    raise _NotWritable(f"_{label} has both kinds of quotes in {text!r}; remove one of them.")
