"""Models of adaptive picking that are learned for the page: one at a time, beside what it asks meanwhile."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from boxwood.errors import InputError

if TYPE_CHECKING:
    from boxwood.picking.adaptive import AdaptiveModel

    # Learns, and tells now and then which part is done.
    Learn = Callable[[Callable[[float], None]], AdaptiveModel | None]

_MOST_KEPT = 32


class Learning:
    """A model that is being learned, or was.

    Attributes
    ----------
    done : float
        The part that is done, 0 to 1.
    """

    def __init__(self) -> None:
        self.done = 0.0
        self._cancelled = threading.Event()
        self._future: Future[AdaptiveModel | None] = Future()

    def run(self, learn: Learn) -> None:
        try:
            self._told(0.0)
            self._future.set_result(learn(self._told))
        except BaseException as error:
            self._future.set_exception(error)

    def _told(self, done: float) -> None:
        if self._cancelled.is_set():
            raise CancelledError
        self.done = done

    def cancel(self) -> None:
        """End it the next time that it tells how far it is."""
        self._cancelled.set()

    @property
    def ended(self) -> bool:
        return self._future.done()

    @property
    def failed(self) -> bool:
        """Whether it has ended without an answer, by an error or because it was cancelled."""
        return self._cancelled.is_set() or (self.ended and self._future.exception() is not None)

    def model(self) -> AdaptiveModel | None:
        """The model once it has ended; None where nothing like a particle was found. Raises its error."""
        return self._future.result()


class Learnings:
    """What is learned, and the last models that were, by what they depend on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, Learning] = OrderedDict()
        self._worker = ThreadPoolExecutor(1, "boxwood-learning")

    def get(self, key: Hashable) -> Learning | None:
        with self._lock:
            return self._known.get(key)

    def start(self, key: Hashable, learn: Learn) -> Learning:
        """Begin to learn, after what is being learned now; what is known or under way is not begun again."""
        with self._lock:
            found = self._known.get(key)
            if found is None or found.failed:
                found = self._known[key] = Learning()
                self._worker.submit(found.run, learn)
            self._known.move_to_end(key)
            ended = [key for key, one in self._known.items() if one.ended]
            for old in ended[: max(0, len(self._known) - _MOST_KEPT)]:
                del self._known[old]
            return found

    def cancel(self, key: Hashable) -> None:
        """Stop learning within a second or so.

        Raises
        ------
        InputError
            If it is not being learned.
        """
        with self._lock:
            found = self._known.get(key)
            if found is None or found.ended:
                raise InputError("nothing is being learned with these settings")
            found.cancel()
            del self._known[key]

    def close(self) -> None:
        """Cancel all, and take no more."""
        with self._lock:
            for one in self._known.values():
                one.cancel()
        self._worker.shutdown(wait=False, cancel_futures=True)
