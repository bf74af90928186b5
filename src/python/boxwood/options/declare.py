"""The declaration of an option, and the dataclass of checked values made from it."""

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from boxwood.errors import InputError
from boxwood.options.kinds import Kind, kind_of

if TYPE_CHECKING:
    from typing_extensions import Self  # typing has it from Python 3.11

    from boxwood.options.joboptions import Fields


@dataclass(frozen=True)
class Option:
    """One option of a job.

    Attributes
    ----------
    name : str
        Of the Python argument; the command line has `--name-with-dashes`.
    kind : Kind
        How values are read, checked and written; from the annotation of the field.
    help, unit, group : str
        Group is the tab of the form.
    default : Any
        `dataclasses.MISSING` if the option must be given.
    at_least, at_most, above : float or None
        Range of numbers, with its ends; `above` without.
    choices : tuple of str
    flag : str
        Of the RELION program, for the reference documentation.
    joboption : str, (str, str) or Fields
        RELION's joboption that holds this value in job.star; a pair if RELION 4 and later have another
        name ("" for none) than RELION 3; `Fields` (boxwood.options.joboptions) if it is spread over several.
    unset : str or None
        What RELION's job.star says for None; default -1 for numbers and "" for text.
    input : str
        Kind of pipeline node (see `boxwood.project.nodes`) if the value names a file to be read.
    positional : bool
        On the command line the value stands by itself.
    metavar : str
        Stands for the value in the command line's help.
    needs : str
        Option without which this one means nothing, as "reextract" (it must be given, or yes) or
        "algorithm=vdam", or several of them, "method=log or method=adaptive"; forms show it only then.
        "continue" means a continued job.
    begins : bool
        A new job needs it, though it has a default; one that is continued knows it.
    refused : str
        Why this option, known from RELION's forms, has no meaning here: any value is refused so.
    """

    name: str
    kind: Kind
    help: str
    default: Any = MISSING
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    group: str = "Job"
    flag: str = ""
    joboption: "str | tuple[str, str] | Fields" = ""
    unset: str | None = None
    input: str = ""
    positional: bool = False
    metavar: str = ""
    needs: str = ""
    begins: bool = False
    refused: str = ""

    @property
    def required(self) -> bool:
        return self.default is MISSING

    @property
    def argument(self) -> str:
        """The option as typed in a shell."""
        return self.name if self.positional else "--" + self.name.replace("_", "-")

    @property
    def expected(self) -> str:
        """What values are accepted, in words: 'a number above 0 Å'."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        bounds = ""
        if self.at_least is not None and self.at_most is not None:
            bounds = f"from {self.at_least:g} to {self.at_most:g}"
        elif self.at_least is not None:
            bounds = f"of at least {self.at_least:g}"
        elif self.above is not None:
            top = f" up to {self.at_most:g}" if self.at_most is not None else ""
            bounds = f"above {self.above:g}{top}"
        elif self.at_most is not None:
            bounds = f"of at most {self.at_most:g}"
        words = [self.kind.words, bounds, self.unit if bounds or not self.unit else f"({self.unit})"]
        return " ".join(word for word in words if word)

    def check(self, value: Any) -> Any:
        """Convert `value` to the option's type, or refuse it.

        Raises
        ------
        InputError
            In one sentence: what was given and what is expected.
        """
        if value is None and self.default is None:
            return None
        if self.refused:
            raise InputError(f"{self.name} cannot be set: {self.refused}")
        try:
            converted = self.kind.convert(value)
        except (TypeError, ValueError, OverflowError):
            converted = None
        if converted is None or not all(self._accepts(part) for part in self.kind.parts(converted)):
            shown = value if isinstance(value, int | float) else repr(value)
            raise InputError(f"{self.name} is {shown}; it must be {self.expected}")
        return converted

    def _accepts(self, value: Any) -> bool:
        if self.choices:
            return value in self.choices
        # Written so that NaN fails every range.
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
        )


def option(help: str, default: Any = MISSING, **settings: Any) -> Any:
    """Declare the option of a dataclass field; settings are the attributes of `Option`."""
    if settings.get("refused"):
        default = None
    return dataclasses.field(default=default, metadata={"option": dict(settings, help=help)})


def applies(option: Option, declared: Mapping[str, Option], values: Mapping[str, Any]) -> bool:
    """Whether an option means something, given the values or texts of others; without one, its default."""
    if not option.needs or option.needs == "continue":
        return True
    return any(_holds(need, declared, values) for need in option.needs.split(" or "))


def _holds(need: str, declared: Mapping[str, Option], values: Mapping[str, Any]) -> bool:
    name, _, value = need.partition("=")
    other = declared[name]
    given = values.get(name)
    if given is None or given == "":
        given = None if other.required else other.default
    return applies(other, declared, values) and (str(given) == value if value else bool(given))


class Options:
    """Base of the frozen dataclasses whose fields are declared with `option`; values are checked."""

    def __post_init__(self) -> None:
        for declared in self.declared():
            object.__setattr__(self, declared.name, declared.check(getattr(self, declared.name)))
        self.validate()

    def validate(self) -> None:
        """Refuse combinations of values; for subclasses."""

    @classmethod
    def declared(cls) -> tuple[Option, ...]:
        """Return the options in the order of their declaration."""
        return _declared(cls)  # type: ignore[arg-type]

    @classmethod
    def make(cls, values: Mapping[str, Any]) -> "Self":
        """Make from a mapping, and name what is missing or unknown.

        Raises
        ------
        InputError
        """
        known = {declared.name: declared for declared in cls.declared()}
        for name in values:
            if name not in known:
                raise InputError(f"option {name!r} is unknown; known are {', '.join(known)}")
        missing = [o.name for o in known.values() if o.required and values.get(o.name) is None]
        if missing:
            raise InputError("please give " + " and ".join(f"{n} ({known[n].help})" for n in missing))
        return cls(**values)

    def idle(self, names: Iterable[str]) -> list[Option]:
        """Named options that differ from their default and mean nothing with the other values."""
        declared, values = {o.name: o for o in self.declared()}, self.as_dict()
        return [
            o
            for name in names
            if values[name] != (o := declared[name]).default and not applies(o, declared, values)
        ]

    def as_dict(self) -> dict[str, Any]:
        """Values by name, as declared (paths stay paths)."""
        return {declared.name: getattr(self, declared.name) for declared in self.declared()}


@cache
def _declared(cls: type[Options]) -> tuple[Option, ...]:
    annotations = typing.get_type_hints(cls)
    return tuple(
        Option(
            name=field.name,
            kind=kind_of(annotations[field.name]),
            default=field.default,
            **field.metadata["option"],
        )
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if "option" in field.metadata
    )
