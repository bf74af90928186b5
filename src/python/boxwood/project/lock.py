"""RELION's lock on default_pipeline.star: a folder that only one program can make.

It is prepared under another name, with its owner's in it, and renamed, and renamed again to be removed.
Whenever a boxwood is killed, its lock says whose it was.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
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
_OWNER = re.compile(r"boxwood, process (\d+) on (.+)")
# Of Linux: take the folder of the process as what names start from; fail where the new name exists.
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


@contextmanager
def pipeline_lock(
    root: Path, patience_seconds: float = 120.0, say: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold the project's lock; RELION 3.1 also waits two minutes for it.

    The lock of a boxwood that was killed on this computer is removed. Whoever waits for more than two seconds
    is told by `say`: RELION leaves its lock behind when it crashes, and so does a boxwood elsewhere.
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
                    _give_back(folder)
                return
        if owner := _removed(folder):
            if say:
                say(f"removed the lock of {owner}, which is no more, from {root.resolve()}")
            continue
        waited = time.monotonic() - begun
        if waited > patience_seconds:
            raise JobError(_held(folder))
        if say and waited > 2:
            say(f"waiting up to {patience_seconds:g} seconds, because {_held(folder)}")
            say = None
        time.sleep(0.05)


def _taken(folder: Path) -> bool:
    """Make the lock and say whose it is; False if somebody else has it."""
    if os.path.lexists(folder):
        return False
    prepared = _aside(folder)
    with writing(f"the project folder {folder.parent.resolve()}"):
        os.mkdir(prepared)
        try:
            with suppress(OSError):  # on a full disk: the lock is the folder, what it holds is for who waits
                (prepared / LOCK_FILE).write_text(f"boxwood, process {os.getpid()} on {_computer()}\n")
            if not _renamed(prepared, folder):
                _make(folder, prepared)
        except FileExistsError:
            return False
        finally:
            shutil.rmtree(prepared, ignore_errors=True)
    _clear(folder)
    return True


def _renamed(prepared: Path, folder: Path) -> bool:
    """Give the folder its name, False where the file system cannot do that without replacing another.

    A plain rename would replace a lock of RELION's that has nothing in it yet.

    Raises
    ------
    FileExistsError
        There is one of that name.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # no Linux, or a very old one
        return False
    if rename(_AT_FDCWD, os.fsencode(prepared), _AT_FDCWD, os.fsencode(folder), _RENAME_NOREPLACE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(folder))


def _make(folder: Path, prepared: Path) -> None:
    """The lock in two steps: who is killed between them leaves one that does not say whose it is."""
    os.mkdir(folder)
    with suppress(OSError):
        os.rename(prepared / LOCK_FILE, folder / LOCK_FILE)


def _give_back(folder: Path) -> None:
    gone = _aside(folder)
    os.rename(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def _aside(folder: Path) -> Path:
    """A name beside the lock's that tells the process that uses it."""
    return folder.with_name(f"{LOCK_FOLDER}.{os.getpid()}.{_mark()}.{secrets.token_hex(4)}.tmp")


def _mark() -> str:
    """Where process numbers mean the same, in a few letters."""
    return hashlib.sha256(_computer().encode()).hexdigest()[:8]


def _clear(folder: Path) -> None:
    """Remove what processes of this computer that were killed have left aside."""
    name = re.compile(rf"{re.escape(LOCK_FOLDER)}\.(\d+)\.{_mark()}\.[0-9a-f]{{8}}\.tmp")
    for entry in os.listdir(folder.parent):
        if (found := name.fullmatch(entry)) and _has_ended(int(found[1])):
            shutil.rmtree(folder.with_name(entry), ignore_errors=True)


def _computer() -> str:
    """Where process numbers mean the same: on this computer, and in this container."""
    try:
        return f"{socket.gethostname()} ({os.readlink('/proc/self/ns/pid')})"
    except OSError:
        return socket.gethostname()


def _owner(folder: Path) -> str:
    try:
        return (folder / LOCK_FILE).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _removed(folder: Path) -> str:
    """Remove the lock if its owner was a boxwood of this computer that has ended; return who that was."""
    if not _is_dead(_owner(folder)):
        return ""
    project = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(project, fcntl.LOCK_EX)  # of those who have seen the same, one removes it
        owner = _owner(folder)
        if not _is_dead(owner):
            return ""
        _give_back(folder)
        return owner
    except OSError:  # a file system without locks, or one that is read only
        return ""
    finally:
        os.close(project)


def _held(folder: Path) -> str:
    """Who has the lock, as far as can be told, and what to do."""
    try:
        since = time.strftime(" since %Y-%m-%d %H:%M:%S", time.localtime(folder.stat().st_mtime))
    except OSError:
        since = ""
    owner = _owner(folder)
    if _is_dead(owner):
        return f"the project has been locked{since} by {owner}, which is no more; remove {folder.resolve()}"
    who = f"by {owner}" if owner.startswith("boxwood") else "by another program"
    return (
        f"the project has been locked {who}{since}; "
        f"if no RELION or boxwood is at work here, remove {folder.resolve()}"
    )


def _is_dead(owner: str) -> bool:
    """Whether the owner was a boxwood on this computer that has ended."""
    found = _OWNER.fullmatch(owner)
    return found is not None and found[2] == _computer() and _has_ended(int(found[1]))


def _has_ended(process: int) -> bool:
    try:
        os.kill(process, 0)
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
