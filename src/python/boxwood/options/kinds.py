"""How values of each Python type are read from text, shown, and written to a RELION job file."""

import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


@dataclass(frozen=True)
class Kind:
    """A type of option: bool, int, float, str, Path, or a tuple of one of these.

    `count` is None for a single value, 0 for any number of values, else how many.
    """

    scalar: type
    count: int | None = None

    @property
    def words(self) -> str:
        noun, plural = _WORDS[self.scalar]
        if self.count is None:
            return noun
        return plural if self.count == 0 else f"{self.count} {plural}"

    def convert(self, value: Any) -> Any:
        """Convert; TypeError, ValueError or OverflowError if that is not possible."""
        if self.count is None:
            return _CONVERT[self.scalar](value)
        if isinstance(value, str | bytes | int | float | Path):
            value = (value,)
        converted = tuple(_CONVERT[self.scalar](part) for part in value)
        if self.count not in (0, len(converted)):
            raise ValueError(f"{len(converted)} values")
        return converted

    def split(self, text: str) -> tuple[str, ...]:
        """Split a text into values: numbers at commas and spaces, which mean the same; else lines."""
        if self.scalar in (int, float):
            return tuple(text.replace(",", " ").split())
        return tuple(line.strip() for line in text.splitlines() if line.strip())

    def parts(self, converted: Any) -> Iterable[Any]:
        return (converted,) if self.count is None else converted

    def relion(self, converted: Any) -> str:
        """Format as RELION's job files have it."""
        if self.scalar is bool:
            return "Yes" if converted else "No"
        if self.scalar is float:
            return " ".join(f"{part:.10g}" for part in self.parts(converted))
        return " ".join(str(part) for part in self.parts(converted))


def _to_bool(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in _YES:
        return _YES[value.lower()]
    if value in (0, 1):
        return bool(value)
    _refuse(value)


def _to_int(value: Any) -> int:
    if isinstance(value, bool) or (not isinstance(value, str) and int(value) != value):
        _refuse(value)
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool):
        _refuse(value)
    return float(value)


def _to_str(value: Any) -> str:
    if not isinstance(value, str):
        _refuse(value)
    return value


def _to_path(value: Any) -> Path:
    if not str(value):
        _refuse(value)
    return Path(value)


def _refuse(value: Any) -> NoReturn:
    raise ValueError(value)


_CONVERT: dict[type, Callable[[Any], Any]] = {
    bool: _to_bool,
    int: _to_int,
    float: _to_float,
    str: _to_str,
    Path: _to_path,
}
_WORDS = {
    bool: ("yes or no", "yes or no"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("text", "words"),
    Path: ("a file name", "file names"),
}


def kind_of(annotation: Any) -> Kind:
    """Read a field's annotation: `float`, `float | None`, `tuple[int, ...]`, `tuple[float, float, float]`."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    if typing.get_origin(annotation) is tuple:
        members = typing.get_args(annotation)
        return Kind(members[0], 0 if members[-1] is Ellipsis else len(members))
    return Kind(annotation)
