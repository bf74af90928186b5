"""The files of one job folder that keep its history: note.txt, our settings, exit markers."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from boxwood.errors import FileFormatError, InputError
from boxwood.io.atomic import write_text, writing

SUCCESS, FAILURE, ABORTED = (f"RELION_JOB_EXIT_{how}" for how in ("SUCCESS", "FAILURE", "ABORTED"))
ABORT_NOW = "RELION_JOB_ABORT_NOW"
MARKERS = {"Succeeded": SUCCESS, "Failed": FAILURE, "Aborted": ABORTED}
SETTINGS = ".boxwood.json"


@dataclass(frozen=True)
class Kept:
    """What `.boxwood.json` keeps of a job.

    Attributes
    ----------
    job : str
    options : mapping
        All of them by their own names, for `--continue`.
    runs : sequence of dict
        What each run was made with (see `boxwood.jobs.record`); the first began the job.
    """

    job: str
    options: Mapping[str, Any]
    runs: Sequence[dict[str, Any]] = ()

    @property
    def succeeded(self) -> bool:
        """Whether the last run came to its end."""
        return bool(self.runs) and self.runs[-1]["status"] == "Succeeded"

    @classmethod
    def read(cls, folder: Path) -> Kept | None:
        """Read it; None where there is none, as in a job of RELION.

        Raises
        ------
        FileFormatError
        """
        path = folder / SETTINGS
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(str(found["job"]), dict(found["options"]), list(found.get("runs", ())))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            text = f"{path} is damaged ({error}); remove it, and give all options again"
            raise FileFormatError(text) from None

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        write_text(folder / SETTINGS, json.dumps(vars(self), default=str, indent=1) + "\n")


def read_settings(folder: Path, job: str) -> dict[str, Any]:
    """Return the options of an earlier run in this folder; none if it was RELION's.

    Raises
    ------
    InputError
        If the folder is of another kind of job.
    """
    kept = Kept.read(folder)
    if kept and kept.job != job:
        raise InputError(f"{folder} is a job of `boxwood {kept.job}`, not of `boxwood {job}`")
    return dict(kept.options) if kept else {}


def claim_log(folder: Path) -> TextIO:
    """Open run.out to append to, as the only boxwood at work in this job; closing it ends the claim.

    Raises
    ------
    InputError
        If another one is.
    """
    file = open_log(folder / "run.out")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise InputError(running(folder)) from None
    except OSError:  # a file system without locks
        pass
    return file


def open_log(path: Path) -> TextIO:
    """Open a file to append to."""
    with writing(path):
        return path.open("a", encoding="utf-8")


def is_at_work(folder: Path) -> bool:
    """Whether a boxwood is at work in this job; also True where files cannot be locked."""
    return is_held(folder / "run.out")


def is_held(path: Path) -> bool:
    """Whether a program holds the lock on a file; also True where files cannot be locked."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def check_idle(folder: Path, status: str) -> None:
    """Refuse a job that another program is at work in, or may be.

    Raises
    ------
    InputError
    """
    refuse_relions(folder, status)
    if (folder / "run.out").exists():
        claim_log(folder).close()


def refuse_relions(folder: Path, status: str) -> None:
    """Refuse a job that RELION is at work in; a boxwood that was killed could not say that it has ended.

    Raises
    ------
    InputError
    """
    if status == "Running" and folder.is_dir() and not (folder / SETTINGS).exists():
        raise InputError(running(folder))


def running(folder: Path) -> str:
    """What to do about a job that is at work."""
    return (
        f"{folder.parent.name}/{folder.name} is running; wait for its end, or make {ABORT_NOW} in its "
        f"folder to stop it; if its program has died, make {FAILURE} there"
    )


def append_note(folder: Path, commands: Sequence[str]) -> None:
    """Say in note.txt what was run and when, as RELION does."""
    lines = ["", f" ++++ Executing new job on {time.ctime()}", " ++++ with the following command(s): "]
    path = folder / "note.txt"
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write("\n".join([*lines, *commands, " ++++ "]) + "\n")


def clear_markers(folder: Path) -> None:
    """Remove what an earlier run of this job left to say how it ended."""
    for name in (*MARKERS.values(), ABORT_NOW):
        with writing(folder / name):
            (folder / name).unlink(missing_ok=True)


def exit_status(folder: Path) -> str | None:
    """Return how the job ended, by its marker; None if it has not."""
    return next((status for status, name in MARKERS.items() if (folder / name).exists()), None)
