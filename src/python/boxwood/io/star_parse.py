"""From the bytes of a STAR file to tables.

The body of a long loop goes to pandas' C parser as it is when it is plain (no quotes, no comments).
Otherwise, or when pandas stumbles, its lines are cut into values one by one, which also finds the line to
blame. Short loops always go that way: a call of pandas takes as long as 200 rows.
Where a file goes on like that to its end, as those of particles do, it is read in pieces, so that memory
holds the table and not its text as well.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections.abc import Sequence
from typing import Any, BinaryIO, NoReturn

import numpy as np
import pandas as pd
from pandas.errors import ParserWarning
from starfile.typing import DataBlock as Table

from boxwood.errors import FileFormatError
from boxwood.io.labels import Kind, kind_of

# A quote opens only at the start of a value and closes only before white space, so don't is one value.
_VALUE = re.compile(r""""(.*?)"(?=[ \t]|$)|'(.*?)'(?=[ \t]|$)|(#.*)|([^ \t]+)""")
_PLAIN_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d+)?|[+-]?\.\d+(?:[eE][+-]?\d+)?")
_NAN = ["nan", "-nan", "NaN", "-NaN", "NAN", "+nan"]
_NAN_OR_INFINITE = {"inf", "-inf", "+inf", *_NAN}
_INTEGER = re.compile(r"[+-]?\d+")

# RELION itself takes rows without these last columns, and other programs write such rows.
_OPTIONAL_LAST = {"rlnPipeLineNodeTypeLabelDepth": "1"}

_MARKS = (b'"', b"'", b"#")
_TABLE = re.compile(rb"^[ \t]*data_", re.MULTILINE)
_SHORT = 100_000  # bytes
_HEAD, _PIECE = 1 << 20, 1 << 22  # bytes of a file that are read first, and then at once
_ROWS = 50_000  # that pandas makes a table of at once
_MOST_COLUMNS = 10_000  # RELION knows some 500; pandas takes minutes to make a table of a million


class _NotPlain(ValueError):
    """A file has to be in memory as a whole to be parsed."""


def parse_star(data: bytes, source: str) -> dict[str, Table]:
    """Parse a whole STAR file; `source` names it in errors. See `boxwood.io.star.read_star`."""
    return _Parser(_clean(data, source), source).tables()


def parse_star_file(file: BinaryIO, source: str) -> dict[str, Table]:
    """Parse an open file from its beginning, in pieces where its last loop is long and plain."""
    head = file.read(_HEAD)
    if len(head) < _HEAD or not file.seekable():
        return parse_star(head + file.read(), source)
    try:
        end = head.rfind(b"\n") + 1
        file.seek(end)
        return _Parser(_plain(head[:end]), source, file).tables()
    except _NotPlain:
        file.seek(0)
        return parse_star(file.read(), source)


def _plain(data: bytes) -> bytes:
    """Whole lines, if they are as most are."""
    if b"\0" in data or b"\r" in data or not data.isascii():
        raise _NotPlain
    return data


def _clean(data: bytes, source: str) -> bytes:
    """Refuse what is not text, and give every line the same end."""
    if b"\0" in data:
        raise FileFormatError(
            f"{source} holds binary data and is no STAR file: give the .star file, not the images."
        )
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise FileFormatError(
                f"{source} line {line}: byte 0x{data[error.start]:02x} is not UTF-8 text; "
                "convert the file, for example with iconv -f latin1 -t utf8."
            ) from None
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


class _Parser:
    """A position in the text, and the table it is in (for errors).

    If there is `more` than `data`, that is the rest of its last loop or `_NotPlain` is raised.
    """

    def __init__(self, data: bytes, source: str, more: BinaryIO | None = None) -> None:
        self.data = data
        self.source = source
        self.more = more
        self.table = ""
        self.next = 0  # where the next line starts
        self.start = 0  # where the current line starts

    def fail(self, reason: str, position: int | None = None) -> NoReturn:
        line = self.data.count(b"\n", 0, self.start if position is None else position) + 1
        table = f", table data_{self.table}" if self.table is not None else ""
        raise FileFormatError(f"{self.source} line {line}{table}: {reason}")

    def line(self) -> str | None:
        """The next line with something on it, stripped, or None at the end of the file."""
        while self.next < len(self.data):
            self.start = self.next
            end = self.data.find(b"\n", self.start)
            end = len(self.data) if end < 0 else end
            self.next = end + 1
            text = self.data[self.start : end].strip()
            if text and not text.startswith(b"#"):
                return text.decode()
        if self.more is not None:
            raise _NotPlain
        self.start = self.next
        return None

    def back(self) -> None:
        """Read the current line again."""
        self.next = self.start

    def tables(self) -> dict[str, Table]:
        found: dict[str, Table] = {}
        while (line := self.line()) is not None:
            if not line.startswith("data_"):
                self.table = None  # type: ignore[assignment]
                self.fail(
                    f"expected a line data_NAME, found '{_short(line)}'; check that this is a STAR file."
                )
            self.table = line[5:].split("#")[0].strip()
            if len(self.table.split()) > 1:
                self.fail(f"a table's name is one word, not '{_short(self.table)}'; write data_NAME alone.")
            if self.table in found:
                self.fail("a second table of this name; rename or remove one of them.")
            found[self.table] = self.block()
        return found

    def block(self) -> Table:
        line = self.line()
        if line == "loop_":
            return self.loop()
        if line is not None:
            self.back()
        return self.pairs()

    def pairs(self) -> dict[str, Any]:
        """Lines of a label and a value, up to the next table."""
        values: dict[str, Any] = {}
        while (line := self.line()) is not None:
            if line.startswith("data_"):
                self.back()
                break
            if not line.startswith("_"):
                self.fail(f"expected a line '_label value', found '{_short(line)}'; remove or repair it.")
            label, _, rest = line[1:].replace("\t", " ").partition(" ")
            if not label or label in values:
                self.fail(f"label '_{label}' is {'there twice' if label else 'empty'}; keep one.")
            words = self.words(rest)
            # Some programs leave values with spaces unquoted; with one value a line that is no riddle.
            text = words[0] if len(words) == 1 else " ".join(words)
            try:
                values[label] = _value(label, text)
            except ValueError:
                self.fail(f"_{label} is '{_short(text)}', expected {_expected(label)}; correct it.")
        return values

    def words(self, text: str, position: int | None = None) -> list[str]:
        """The values on one line, without quotes and comments."""
        if '"' not in text and "'" not in text and "#" not in text:
            return text.split() if text.isascii() else [word for word in re.split("[ \t]+", text) if word]
        words = []
        for value in _VALUE.finditer(text):  # one by one: after an open quote there is no need to go on
            double, single, comment, plain = value.groups(default="")
            if comment:
                break
            if plain and plain[0] in "\"'":
                self.fail(f"a quote is opened and not closed at '{_short(plain)}'; close it.", position)
            words.append(double or single or plain)
        return words

    def loop(self) -> pd.DataFrame:
        labels: list[str] = []
        found: set[str] = set()
        while (line := self.line()) is not None and line.startswith("_"):
            label, *rest = line[1:].split(None, 1) or [""]
            if rest and not rest[0].startswith("#"):
                self.fail(f"label _{label} of a loop has a value; put values below the labels.")
            if not label or label in found:
                self.fail(f"column '_{label}' is {'there twice' if label else 'without a name'}; keep one.")
            if len(labels) == _MOST_COLUMNS:
                self.fail(f"the loop has more than {_MOST_COLUMNS} columns; give a table of particles.")
            labels.append(label)
            found.add(label)
        if not labels:
            self.fail("loop_ is not followed by labels; add lines '_label' or remove loop_.")
        begin = self.start
        self.next = self.end_of_loop(begin)
        if self.more is not None and self.next == len(self.data):
            try:
                frame = _read_plain(_Body(self.data[begin:], self.more), labels)
            except (ValueError, ParserWarning):
                raise _NotPlain from None
            self.more = None
            return frame
        end = self.trimmed(begin, self.next)
        if end - begin > _SHORT and not any(self.data.find(mark, begin, end) >= 0 for mark in _MARKS):
            try:
                return _read_plain(_Window(self.data, begin, end), labels)
            except (ValueError, ParserWarning):  # pandas' ParserError is a ValueError
                pass  # line by line it can be mended, or said what is wrong and where
        return self.rows(begin, end, labels)

    def end_of_loop(self, begin: int) -> int:
        """Where the next line of a single word data_NAME starts, or the end of the file."""
        at = self.data.find(b"data_", begin)
        while at >= 0:
            start = self.data.rfind(b"\n", 0, at) + 1
            if not self.data[start:at].strip():
                end = self.data.find(b"\n", at)
                words = self.data[at : end if end >= 0 else None].split(None, 1)
                if len(words) == 1 or words[1].startswith(b"#"):
                    return start
            at = self.data.find(b"data_", at + 5)
        return len(self.data)

    def trimmed(self, begin: int, end: int) -> int:
        """The end of the last line that is neither blank nor a comment."""
        while end > begin:
            start = max(self.data.rfind(b"\n", begin, end) + 1, begin)
            line = self.data[start:end].strip()
            if line and not line.startswith(b"#"):
                break
            end = max(start - 1, begin)
        return end

    def rows(self, begin: int, end: int, labels: list[str]) -> pd.DataFrame:
        """The rows of a loop, line by line."""
        rows: list[list[str]] = []
        positions: list[int] = []
        position = begin
        for line in self.data[begin:end].decode().split("\n"):
            words = self.words(line, position)
            if len(words) > len(labels):  # a tab inside a value: RELION separates columns by spaces
                spaced = [word.strip('"') for word in line.split(" ") if word]
                words = spaced if len(spaced) == len(labels) else words
            if len(words) == len(labels) - 1 > 0 and labels[-1] in _OPTIONAL_LAST:
                words.append(_OPTIONAL_LAST[labels[-1]])
            if words:
                if len(words) != len(labels):
                    self.fail(
                        f"{len(words)} columns, the header has {len(labels)}; complete the row, "
                        "or put values with spaces in double quotes.",
                        position,
                    )
                rows.append(words)
                positions.append(position)
            position += len(line.encode()) + 1
        columns = zip(*rows, strict=True) if rows else [()] * len(labels)
        typed = {}
        for label, column in zip(labels, columns, strict=True):
            try:
                typed[label] = _typed(label, column)
            except ValueError:
                row = next(i for i, word in enumerate(column) if not _fits(label, word))
                self.fail(
                    f"_{label} is '{_short(column[row])}', expected {_expected(label)}; correct it.",
                    positions[row],
                )
        return pd.DataFrame(typed)


class _Window(io.RawIOBase):
    """Part of a buffer as a file, without the copy: a loop may have hundreds of megabytes."""

    def __init__(self, data: bytes, begin: int, end: int) -> None:
        self.rest = memoryview(data)[begin:end]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = min(len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count


class _Body(io.RawIOBase):
    """The lines of a loop that goes on to the end of a file, which are looked at as they are read."""

    def __init__(self, begun: bytes, file: BinaryIO) -> None:
        self.line, self.file = begun, file
        self.rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self.rest:
            self.rest = memoryview(self.lines())
        count = min(len(buffer), len(self.rest))
        buffer[:count] = self.rest[:count]
        self.rest = self.rest[count:]
        return count

    def lines(self) -> bytes:
        """The next whole lines."""
        fresh = self.file.read(_PIECE)
        lines = self.line + fresh
        end = lines.rfind(b"\n") + 1 if fresh else len(lines)
        self.line = lines[end:]
        lines = _plain(lines[:end])
        if (fresh and not lines) or any(mark in lines for mark in _MARKS) or _TABLE.search(lines):
            raise _NotPlain
        return lines


def _read_plain(body: io.RawIOBase, labels: list[str]) -> pd.DataFrame:
    """A loop without quotes and comments; ValueError or ParserWarning where its rows do not fit."""
    kinds = {label: kind_of(label) for label in labels}
    floats = [label for label, kind in kinds.items() if kind not in ("str", None)]
    texts: dict[str, list[pd.Series]] = {label: [] for label in labels if label not in floats}
    numbers = {label: np.empty(0) for label in floats}
    rows = 0
    # One more column than there are labels must stay empty: it shows rows that are too long.
    with warnings.catch_warnings():
        warnings.simplefilter("error", ParserWarning)
        frames = pd.read_csv(
            body,
            sep=r"\s+",
            header=None,
            names=[*labels, ""],
            index_col=False,
            dtype={**dict.fromkeys(labels, "str"), **dict.fromkeys(floats, np.float64), "": "str"},
            keep_default_na=False,
            na_values=dict.fromkeys(floats, _NAN),
            quoting=csv.QUOTE_NONE,
            engine="c",
            chunksize=_ROWS,
            low_memory=False,
        )
        for frame in frames:
            if frame.pop("").ne("").any() or frame.iloc[:, -1].eq("").any():
                raise ValueError("rows of different lengths")
            for label, parts in texts.items():
                parts.append(frame[label])
            for label, column in numbers.items():
                # In place: a list of parts would be there beside the whole.
                if rows + len(frame) > len(column):
                    column.resize(max(rows + len(frame), len(column) * 5 // 4), refcheck=False)
                column[rows : rows + len(frame)] = frame[label]
            rows += len(frame)
    columns: dict[str, Any] = {}
    for label, kind in kinds.items():
        if kind is None or kind == "str":
            text = pd.concat(texts.pop(label), ignore_index=True)
            columns[label] = _inferred(tuple(text)) if kind is None else text
        else:
            column = numbers.pop(label)
            column.resize(rows, refcheck=False)
            columns[label] = _numbers(column, kind)
    return pd.DataFrame(columns, copy=False)


def _typed(label: str, words: Sequence[str]) -> pd.Series:
    """A column of the type its label asks for, or ValueError."""
    kind = kind_of(label)
    if kind == "str":
        return pd.Series(words, dtype="str")
    if kind is None:
        return _inferred(words)
    if "_" in "".join(words):
        raise ValueError  # Python would take 1_000
    return pd.Series(_numbers(np.array([float(word) for word in words], dtype=np.float64), kind))


def _numbers(values: np.ndarray[Any, Any], kind: Kind) -> np.ndarray[Any, Any]:
    """Whole numbers as int64; a fraction in an integer's column (some programs do that) stays a float."""
    whole = kind != "float" and bool((np.abs(values) < 2.0**53).all() and (values == np.trunc(values)).all())
    return values.astype(np.int64) if whole else values


def _inferred(words: Sequence[str]) -> pd.Series:
    """Numbers where every value is written as a plain number (0001 is not), text otherwise."""
    values = {word: _value("", word) for word in set(words)}
    if not values or any(isinstance(value, str) for value in values.values()):
        return pd.Series(words, dtype="str")
    return pd.Series([values[word] for word in words])


def _fits(label: str, word: str) -> bool:
    try:
        _value(label, word)
    except ValueError:
        return False
    return True


def _value(label: str, text: str) -> Any:
    """One value of a list, typed by its label; ValueError where it does not fit."""
    kind = kind_of(label)
    plain = text in _NAN_OR_INFINITE or _PLAIN_NUMBER.fullmatch(text)
    if kind == "str" or (kind is None and not plain):
        return text
    if "_" in text:
        raise ValueError  # Python would take 1_000
    number = float(text)
    if kind == "float" or not number.is_integer() or (kind is None and not _INTEGER.fullmatch(text)):
        return number
    return int(text) if _INTEGER.fullmatch(text) else int(number)


def _expected(label: str) -> str:
    return "a number" if kind_of(label) == "float" else "a whole number"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
