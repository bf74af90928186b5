"""RELION's lock on default_pipeline.star: a folder that only one program can make."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from boxwood.errors import JobError
from boxwood.io.atomic import writing

LOCK_FOLDER = ".relion_lock"
LOCK_FILE = "lock_default_pipeline.star"
_OWNER = "boxwood, process {} on {}"


@contextmanager
def pipeline_lock(
    root: Path, patience_seconds: float = 120.0, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the project's lock; RELION 3.1 also waits two minutes for it.

    Whoever waits for more than two seconds is told by `say`: a program that crashed leaves its lock behind.
    While the lock is held, Ctrl-C and SIGTERM wait.

    Raises
    ------
    JobError
        If another program keeps the lock for longer, or the folder cannot be written to.
    """
    folder = root / LOCK_FOLDER
    begun = time.monotonic()
    while True:
        with _signals_wait():
            if _taken(folder):
                try:
                    yield
                finally:
                    (folder / LOCK_FILE).unlink(missing_ok=True)
                    os.rmdir(folder)
                return
        waited = time.monotonic() - begun
        if waited > patience_seconds:
            raise JobError(_held(folder))
        if say and waited > 2:
            say(f"waiting up to {patience_seconds:g} seconds, because {_held(folder)}")
            say = None
        time.sleep(0.05)


def _taken(folder: Path) -> bool:
    """Make the lock and say whose it is; False if somebody else has it."""
    with writing(f"the project folder {folder.parent.resolve()}"):
        try:
            os.mkdir(folder)
        except FileExistsError:
            return False
    with suppress(OSError):  # on a full disk: the lock is the folder, what it holds is for people
        (folder / LOCK_FILE).write_text(_OWNER.format(os.getpid(), socket.gethostname()) + "\n")
    return True


def _held(folder: Path) -> str:
    """Who has the lock, as far as can be told, and what to do."""
    try:
        since = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(folder.stat().st_mtime))
    except OSError:
        since = ""
    try:
        owner = (folder / LOCK_FILE).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        owner = ""
    if _is_dead(owner):
        return f"the project has been locked{since} by {owner}, which is no more; remove {folder.resolve()}"
    who = f"by {owner}" if owner.startswith("boxwood") else "by another program"
    return (
        f"the project has been locked {who}{since}; "
        f"if no RELION or boxwood is at work here, remove {folder.resolve()}"
    )


def _is_dead(owner: str) -> bool:
    """Whether the owner was a boxwood on this computer that has ended."""
    words = owner.split()
    if len(words) != 5 or not words[2].isdecimal() or owner != _OWNER.format(words[2], socket.gethostname()):
        return False
    try:
        os.kill(int(words[2]), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait for the end of the block; only the main thread can, and gets them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[tuple[int, FrameType | None]] = []
    before: dict[signal.Signals, Callable[[int, FrameType | None], Any]] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(number)
        if callable(handler):
            before[number] = handler
            signal.signal(number, lambda *what: arrived.append(what))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for what in arrived:
            before[signal.Signals(what[0])](*what)
