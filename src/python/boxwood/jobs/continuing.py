"""Going on with an earlier job: its settings, and what of them must not change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from boxwood.errors import InputError
from boxwood.options import Options


def refuse_changes(
    before: Mapping[str, Any], now: Options, given: Collection[str], keeps: Collection[str]
) -> None:
    """Refuse to go on with what would make the finished files meaningless.

    Parameters
    ----------
    before : mapping
        What the job to continue was told; options it does not name are not compared.
    now : Options
    given : collection of str
        Options that were given now.
    keeps : collection of str
        Options that must stay the same.

    Raises
    ------
    InputError
    """
    for declared in now.declared():
        name, value = declared.name, getattr(now, declared.name)
        if name not in keeps or name not in given or name not in before:
            continue
        earlier = declared.check(before[name])
        if _comparable(earlier) != _comparable(value):
            raise InputError(
                f"the job to continue was begun with {name} {earlier}, not {value}; start a new one"
            )


def _comparable(value: Any) -> Any:
    """Paths are the same if they lead to the same place."""
    return value.resolve() if isinstance(value, Path) else value
