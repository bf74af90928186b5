"""Command-line arguments made from declared options."""

import argparse
import difflib
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

from boxwood.errors import InputError
from boxwood.options.declare import Option, Options

_METAVARS = {"Å": "A", "px": "PX", "degree": "DEG", "stddev": "SD"}
_TYPES = {int: "N", float: "X", str: "TEXT", Path: "FILE"}


class ArgumentParser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence, with a guess at what was meant."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        # argparse's own pattern takes -1e-3 for an option.
        self._negative_number_matcher = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$")

    def arguments(self) -> list[argparse.Action]:
        """What it takes, in the order of the help."""
        return list(self._actions)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; `{self.prog} --help` lists what there is")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        values, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = [name for action in self._actions for name in action.option_strings]
            close = difflib.get_close_matches(unknown[0].split("=")[0], known, n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            raise InputError(f"{unknown[0]} is unknown{guess or f'; `{self.prog} --help` lists the options'}")
        return values


def add_arguments(parser: argparse.ArgumentParser, options: type[Options]) -> None:
    """Give `parser` one argument for each option, in groups. Arguments not given are not set."""
    groups: dict[str, Any] = {}
    for declared in options.declared():
        if declared.group not in groups:
            groups[declared.group] = parser.add_argument_group(declared.group)
        _add(groups[declared.group], declared)


def given_values(namespace: argparse.Namespace, options: type[Options]) -> dict[str, Any]:
    """Return the options that were given on the command line, as text or flags."""
    values = {o.name: getattr(namespace, o.name) for o in options.declared() if hasattr(namespace, o.name)}
    for declared in options.declared():
        # "1,4,7" and "1 4 7" are the same list of numbers.
        if declared.name in values and declared.kind.count == 0 and declared.kind.scalar in (int, float):
            values[declared.name] = declared.kind.split(" ".join(values[declared.name]))
    return values


def as_command(options: Options, names: Collection[str] | None = None) -> list[str]:
    """Return the words of a command line that gives these values: those of `names`, or all but defaults."""
    words = []
    for declared in options.declared():
        value = getattr(options, declared.name)
        if value == declared.default if names is None else declared.name not in names:
            continue
        if declared.kind.scalar is bool:
            words.append(declared.argument if value else declared.argument.replace("--", "--no-", 1))
            continue
        if not declared.positional:
            words.append(declared.argument)
        words.extend(str(part) for part in declared.kind.parts(value))
    return words


def _add(group: Any, declared: Option) -> None:
    settings: dict[str, Any] = {"help": _help(declared), "default": argparse.SUPPRESS}
    if declared.refused:
        settings["help"] = argparse.SUPPRESS
    if declared.kind.scalar is bool and declared.kind.count is None:
        group.add_argument(declared.argument, action=argparse.BooleanOptionalAction, **settings)
        return
    settings["metavar"] = declared.metavar or _METAVARS.get(declared.unit) or _TYPES[declared.kind.scalar]
    if declared.choices:
        settings["metavar"] = "{" + ",".join(declared.choices) + "}"
    if declared.positional:
        group.add_argument(declared.name, nargs=None if declared.required else "?", **settings)
        return
    settings["nargs"] = {None: None, 0: "+"}.get(declared.kind.count, declared.kind.count)
    group.add_argument(declared.argument, **settings)


def _help(declared: Option) -> str:
    default = declared.default
    if declared.required:
        note = "required"
    elif default is None or default == ():
        note = ""
    elif declared.kind.scalar is bool:
        note = "default: " + ("yes" if default else "no")
    else:
        shown = declared.kind.relion(declared.kind.convert(default))
        note = f"default: {shown} {declared.unit}".rstrip()
    text = declared.help + (f" ({note})" if note else "")
    return text.replace("%", "%%")
