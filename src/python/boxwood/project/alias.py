"""Aliases of jobs: links beside the job folders."""

import os
from pathlib import Path

from boxwood.errors import InputError

_FORBIDDEN = set('*?()/"\\|#<>&%{}$')


def check_alias(alias: str, folder: str, root: Path, taken: list[str]) -> str:
    """Return "Type/alias/" if RELION's rules allow it.

    Raises
    ------
    InputError
    """
    alias = alias.strip().removeprefix(folder + "/").rstrip("/").replace(" ", "_")
    bad = sorted(_FORBIDDEN & set(alias))
    if len(alias) < 2 or alias.startswith("job") or alias.startswith(".") or bad:
        why = f" (it has {' '.join(bad)})" if bad else ""
        raise InputError(
            f"alias {alias!r} is not possible{why}; it needs two or more characters, must not begin with "
            "'job' or a dot, and has none of " + " ".join(sorted(_FORBIDDEN))
        )
    full = f"{folder}/{alias}/"
    if full in taken or os.path.lexists(root / folder / alias):
        raise InputError(f"alias {full} is taken by another job; choose another")
    return full


def link_alias(alias: str, job: str, root: Path) -> None:
    """Make the link "Type/alias" to the job "Type/jobNNN/", as RELION makes it."""
    os.symlink(f"../{job.rstrip('/')}/", root / alias.rstrip("/"))
