"""Stopping a job at once, whatever it is doing: on RELION_JOB_ABORT_NOW, Ctrl-C and SIGTERM."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from boxwood.backends import stop_kernels
from boxwood.stopping import ask_to_stop

# The file is looked for so often, in seconds: kernels and writers take a tenth of a second to notice.
_EVERY = 0.2


@contextmanager
def stopped_by(file: Path) -> Iterator[None]:
    """Run a block that ends by KeyboardInterrupt soon after `file` has appeared.

    Kernels and writers end in all threads. What else is under way is interrupted if the block is in the main
    thread of the process; in another it goes on to the next call of a kernel or a writer.
    """
    done = threading.Event()
    main = threading.main_thread() is threading.current_thread()

    def look() -> None:
        while not done.wait(_EVERY):
            if os.path.exists(file):
                stop_all(True)
                if main:
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                return

    watcher = threading.Thread(target=look, name="abort", daemon=True)
    with ExitStack() as after:
        after.callback(stop_all, False)
        if main:
            after.enter_context(_handled(signal.SIGUSR1, _interrupt))
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if callable(before):
                    after.enter_context(_handled(number, _stopping(before)))
        after.callback(watcher.join)
        after.callback(done.set)
        watcher.start()
        yield


def stop_all(stop: bool) -> None:
    """Have everything in this process end by KeyboardInterrupt; False takes that back."""
    ask_to_stop(stop)
    stop_kernels(stop)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _stopping(before: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
    """The handler `before`, which finds everything stopping."""

    def handler(number: int, frame: FrameType | None) -> Any:
        stop_all(True)
        return before(number, frame)

    return handler


@contextmanager
def _handled(number: signal.Signals, handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL if before is None else before)  # None: set by other than Python
