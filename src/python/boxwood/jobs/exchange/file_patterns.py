"""Files that names, folders and patterns stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from boxwood.errors import InputError

_PATTERN = set("*?[")


def matching_files(names: Iterable[Path], suffixes: Collection[str], what: str) -> Iterator[Path]:
    """The files that are meant; of a folder, and those below it, the ones with these suffixes.

    Parameters
    ----------
    names : iterable of Path
    suffixes : collection of str
        In lower case, with their points.
    what : str
        What such a file is called in errors: "file of coordinates or particles".

    Raises
    ------
    InputError
        There are none.
    """
    for name in names:
        if name.is_dir():
            found = sorted(path for path in name.rglob("*") if path.suffix.lower() in suffixes)
            wanted = f"no {what} ({' '.join(suffixes)})"
        elif name.exists() or not _PATTERN & set(str(name)):
            found, wanted = [name] if name.exists() else [], "nothing there"
        else:
            base = Path(name.anchor) if name.is_absolute() else Path()
            pattern = str(name.relative_to(name.anchor)) if name.is_absolute() else str(name)
            found, wanted = sorted(base.glob(pattern)), "nothing like it there"
        if not found:
            raise InputError(f"files: {name}: {wanted} (looked in {Path.cwd()})")
        yield from found
