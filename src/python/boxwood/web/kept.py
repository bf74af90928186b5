"""Arrays kept for the next request: computed once, however many ask at the same time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

_MOST_BYTES = 1 << 29


class Kept:
    """Results of slow functions by key; those not asked for longest go first.

    Parameters
    ----------
    most_bytes : int
        Of all results together; the newest stays even if it is larger.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, Future[tuple[Any, int]]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], tuple[Any, int]]) -> Any:
        """Return what `make` returned for this key: the result, and how many bytes it takes.

        An error is raised in all who wait for it, and not kept.
        """
        with self._lock:
            future = self._found.get(key)
            mine = future is None
            if future is None:
                future = self._found[key] = Future()
            self._found.move_to_end(key)
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                with self._lock:
                    self._found.pop(key, None)
                future.set_exception(error)
            else:
                self._shrink(key)
        return future.result()[0]

    def _shrink(self, newest: Hashable) -> None:
        with self._lock:
            sizes = {k: f.result()[1] for k, f in self._found.items() if f.done() and not f.exception()}
            total = sum(sizes.values())
            for key, size in sizes.items():
                if total <= self.most_bytes:
                    break
                if key != newest:
                    del self._found[key]
                    total -= size
