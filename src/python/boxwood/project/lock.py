"""RELION's lock on default_pipeline.star: a folder that only one program can make."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from boxwood.errors import JobError

LOCK_FOLDER = ".relion_lock"
LOCK_FILE = "lock_default_pipeline.star"


@contextmanager
def pipeline_lock(
    root: Path, patience_seconds: float = 120.0, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the project's lock; RELION 3.1 also waits two minutes for it.

    Whoever waits for more than two seconds is told by `say`: a RELION that crashed leaves its lock behind.

    Raises
    ------
    JobError
        If another program keeps the lock for longer, or the folder cannot be written to.
    """
    folder = root / LOCK_FOLDER
    begun = time.monotonic()
    while True:
        try:
            os.mkdir(folder)
            break
        except FileExistsError:
            waited = time.monotonic() - begun
            if waited > patience_seconds:
                raise JobError(_held(folder)) from None
            if say and waited > 2:
                say(f"waiting up to {patience_seconds:g} seconds, because {_held(folder)}")
                say = None
            time.sleep(0.05)
        except OSError as error:
            raise JobError(
                f"the project folder {root.resolve()} cannot be written to ({error.strerror}); "
                "work in a copy of it, or give --output"
            ) from error
    try:
        (folder / LOCK_FILE).touch()
        yield
    finally:
        (folder / LOCK_FILE).unlink(missing_ok=True)
        os.rmdir(folder)


def _held(folder: Path) -> str:
    try:
        since = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(folder.stat().st_mtime))
    except OSError:
        since = ""
    return (
        f"the project has been locked by another program{since}; "
        f"if no RELION or boxwood is at work here, remove {folder.resolve()}"
    )
