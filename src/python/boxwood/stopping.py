"""Whether this process has been asked to stop its job; whatever takes long looks here.

It ends by `KeyboardInterrupt`, as on Ctrl-C, which no handler of errors takes for a damaged file.
"""

import threading

_asked = threading.Event()


def ask_to_stop(stop: bool = True) -> None:
    """Ask the threads of this process to end what they do; False takes that back."""
    if stop:
        _asked.set()
    else:
        _asked.clear()


def check_stop() -> None:
    """Raise KeyboardInterrupt if this process was asked to stop."""
    if _asked.is_set():
        raise KeyboardInterrupt
