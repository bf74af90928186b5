"""One piece of work done in a thread while the caller goes on."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Behind(Generic[Result]):
    """Work that is at most one call behind its caller; made by `one_behind`."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._last: Future[Result] | None = None

    def start(self, work: Callable[[], Result]) -> None:
        """Wait for the work begun before, raise what it raised, and begin this."""
        self.wait()
        self._last = self._pool.submit(work)

    def wait(self) -> Result | None:
        """The result of the work begun last, None if there was none; raises what it raised."""
        return None if self._last is None else self._last.result()


@contextmanager
def one_behind() -> Iterator[Behind[Result]]:
    """Do slow work, such as writing files, while the next is computed; the block ends when all is done.

    An error of the work is raised by the next `start`, or by the end of the block, even if that is left by
    another exception: nobody must take for written what was not.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        behind: Behind[Result] = Behind(pool)
        try:
            yield behind
        finally:
            behind.wait()
