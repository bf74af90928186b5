"""Pieces of work for workers."""

import os
import time
from pathlib import Path

from boxwood.stopping import check_stop


def square(item):
    if item == 7:
        raise ValueError("seven is broken")
    return item * item, os.getpid()


def simd(item):
    from boxwood.backends import cpu_status

    return cpu_status()["chosen"][0]


def wait_for_stop(item):
    Path(item).touch()
    while True:
        check_stop()
        time.sleep(0.01)


class Squares:
    """Squares as results, the numbers' roots as terms; `bad` items raise, or end the process.

    Of the item `tell` the log is told.
    """

    def __init__(self, bad=(), kill=False, tell=None):
        self.bad, self.kill, self.tell = bad, kill, tell

    def __call__(self, here, items):
        for item in items:
            if item in self.bad:
                if self.kill:
                    os._exit(1)
                raise ValueError(f"{item} is broken")
            if item == self.tell:
                here.tell(f"{item} is odd")
            yield (item * item, os.getpid()), item**0.5


def process():
    return f"process {os.getpid()}"
