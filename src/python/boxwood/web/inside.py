"""Files of the project, and no others."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from boxwood.errors import InputError


class OutsideError(InputError):
    """A path leads out of the project."""


def inside(root: Path, name: str | os.PathLike[str], also: Sequence[Path] = ()) -> Path:
    """Return the real path of a file of the project, links resolved; it need not be there yet.

    Parameters
    ----------
    root : Path
        The project, itself resolved.
    name : path
        Relative to the project, or absolute.
    also : sequence of Path
        Further folders, resolved, that may be read: projects often link to micrographs on other disks.

    Raises
    ------
    OutsideError
        If the path, or what a link on it leads to, is elsewhere.
    """
    text = os.fspath(name)
    if "\0" in text:
        raise OutsideError("a file name has no zero bytes in it")
    path = Path(os.path.realpath(root / text))
    if not any(path.is_relative_to(folder) for folder in (root, *also)):
        folder = path if path.is_dir() else path.parent
        hint = f"if it may be read, end `boxwood ui` and start it with --data {shlex.quote(str(folder))}"
        raise OutsideError(f"{text} leads out of the project; {hint}")
    return path
