"""Declared options as the fields of RELION's forms (its joboptions), and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from boxwood.errors import InputError

if TYPE_CHECKING:
    from boxwood.options.declare import Option, Options
    from boxwood.options.kinds import Kind

_TRUE = {"yes", "true", "1"}


class Fields(Protocol):
    """How RELION's form holds one value."""

    @property
    def names(self) -> Collection[str]:
        """The joboptions that have a part in it."""

    def write(self, value: Any, kind: Kind) -> dict[str, str]:
        """The joboptions of a value."""

    def read(self, form: Mapping[str, str]) -> Any:
        """The value, as text, that a form holds; None if it says nothing about it."""


@dataclass(frozen=True)
class Field:
    """One joboption; `unset` is what it says when there is no value."""

    name: str
    unset: str

    @property
    def names(self) -> Collection[str]:
        return (self.name,)

    def write(self, value: Any, kind: Kind) -> dict[str, str]:
        return {self.name: self.unset if value is None else kind.relion(value)}

    def read(self, form: Mapping[str, str]) -> Any:
        text = form.get(self.name, "")
        return None if text == "" or _same(text, self.unset) else text


class Switched:
    """A Yes-or-No joboption, and the fields that hold the value if it is Yes.

    Parameters
    ----------
    switch : str
    fields : mapping
        Names, in the order of the value's parts, and what they say when there is no value.
    also : mapping, optional
        Further fields as they must be where there is a value.
    """

    def __init__(self, switch: str, fields: Mapping[str, str], also: Mapping[str, str] | None = None) -> None:
        self.switch, self.fields, self.also = switch, fields, also or {}
        self.names = (switch, *fields, *self.also)

    def write(self, value: Any, kind: Kind) -> dict[str, str]:
        if value is None:
            return {self.switch: "No", **self.fields}
        words = kind.relion(value).split() if len(self.fields) > 1 else [kind.relion(value)]
        return {self.switch: "Yes", **dict(zip(self.fields, words, strict=True)), **self.also}

    def read(self, form: Mapping[str, str]) -> Any:
        if form.get(self.switch, "No").lower() not in _TRUE:
            return None
        found = [form.get(name, unset) for name, unset in self.fields.items()]
        return found[0] if len(found) == 1 else found


class Alternatives:
    """A choice of words, each with the joboptions that stand for it."""

    def __init__(self, forms: Mapping[str, Mapping[str, str]]) -> None:
        self.forms = forms
        self.names = sorted({name for form in forms.values() for name in form})

    def write(self, value: Any, kind: Kind) -> dict[str, str]:
        return dict(self.forms[value])

    def read(self, form: Mapping[str, str]) -> Any:
        for word, wanted in self.forms.items():
            if all(form.get(name) == text for name, text in wanted.items()):
                return word
        return None


def joboptions(options: Options, generation: int = 3) -> dict[str, str]:
    """Return RELION's joboptions for these values: {"log_diam_min": "150", "do_invert": "Yes", ...}.

    `generation` is RELION's: 3, 4 or 5.
    """
    found: dict[str, str] = {}
    for declared in options.declared():
        name = declared.joboption[generation > 3] if isinstance(declared.joboption, tuple) else None
        fields = _fields(declared, name)
        if fields is not None:
            found.update(fields.write(getattr(options, declared.name), declared.kind))
    return found


def values_of(options: type[Options], form: Mapping[str, str]) -> dict[str, Any]:
    """Return the values that a form of RELION, of any generation, holds for these options.

    Options that the form does not know, or has no value for, are left out.

    Raises
    ------
    InputError
        If a field is a variable of RELION's scheduler ($$NAME).
    """
    found: dict[str, Any] = {}
    for declared in options.declared():
        for fields in _all_fields(declared):
            value = fields.read(form)
            if value is None:
                continue
            if "$$" in str(value):
                raise InputError(
                    f"{declared.name} is {value}, a variable of RELION's scheduler; put a value there"
                )
            several = declared.kind.count is not None and isinstance(value, str)
            found[declared.name] = value.split() if several else value
    return found


def known_names(options: type[Options]) -> set[str]:
    """All joboptions that some option answers to, in any generation."""
    return names_of(options.declared())


def names_of(options: Iterable[Option]) -> set[str]:
    """All joboptions that answer to one of these options."""
    fields = (fields for declared in options for fields in _all_fields(declared))
    return {name for field in fields for name in field.names}


def _all_fields(declared: Option) -> list[Fields]:
    """How the forms of all generations hold an option; nothing for those that are always refused."""
    names = declared.joboption if isinstance(declared.joboption, tuple) else (None,)
    found = (_fields(declared, name) for name in names)
    return [] if declared.refused else [fields for fields in found if fields is not None]


def _fields(declared: Option, name: str | None) -> Fields | None:
    """How the form holds an option; `name` is that of the generation, if they differ."""
    fields = declared.joboption
    if isinstance(fields, tuple):
        fields = name or ""
    if not isinstance(fields, str):
        return fields
    return Field(fields, _unset(declared)) if fields else None


def _unset(declared: Option) -> str:
    if declared.unset is not None:
        return declared.unset
    return "-1" if declared.kind.scalar in (int, float) and declared.default is None else ""


def _same(a: str, b: str) -> bool:
    """Whether two fields say the same; numbers may be written in several ways."""
    try:
        return float(a) == float(b)
    except ValueError:
        return a == b
