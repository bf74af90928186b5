"""The files of one job folder that keep its history: note.txt, our settings, exit markers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boxwood.errors import InputError
from boxwood.io.atomic import write_text

SUCCESS, FAILURE, ABORTED = (f"RELION_JOB_EXIT_{how}" for how in ("SUCCESS", "FAILURE", "ABORTED"))
ABORT_NOW = "RELION_JOB_ABORT_NOW"
MARKERS = {"Succeeded": SUCCESS, "Failed": FAILURE, "Aborted": ABORTED}
SETTINGS = ".boxwood.json"


def write_settings(folder: Path, job: str, values: Mapping[str, Any]) -> None:
    """Keep all options by their own names, for `--continue`."""
    text = json.dumps({"job": job, "options": dict(values)}, default=str, indent=1)
    write_text(folder / SETTINGS, text + "\n")


def read_settings(folder: Path, job: str) -> dict[str, Any]:
    """Return the options of an earlier run in this folder; none if it was RELION's.

    Raises
    ------
    InputError
        If the folder is of another kind of job.
    """
    path = folder / SETTINGS
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found["job"] != job:
        raise InputError(f"{folder} is a job of `boxwood {found['job']}`, not of `boxwood {job}`")
    return dict(found["options"])


def append_note(folder: Path, commands: Sequence[str]) -> None:
    """Say in note.txt what was run and when, as RELION does."""
    lines = ["", f" ++++ Executing new job on {time.ctime()}", " ++++ with the following command(s): "]
    with open(folder / "note.txt", "a", encoding="utf-8") as file:
        file.write("\n".join([*lines, *commands, " ++++ "]) + "\n")


def clear_markers(folder: Path) -> None:
    """Remove what an earlier run of this job left to say how it ended."""
    for name in (*MARKERS.values(), ABORT_NOW):
        (folder / name).unlink(missing_ok=True)


def exit_status(folder: Path) -> str | None:
    """Return how the job ended, by its marker; None if it has not."""
    return next((status for status, name in MARKERS.items() if (folder / name).exists()), None)
