"""Arrays kept for the next request: computed once, however many ask at the same time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any

_MOST_BYTES = 1 << 29


class Cache:
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
        self._sizes: dict[Hashable, int] = {}  # of those that are there
        self._total = 0

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
                self._shrink(key, future.result()[1])
        return future.result()[0]

    def _shrink(self, newest: Hashable, size: int) -> None:
        with self._lock:
            self._sizes[newest] = size
            self._total += size
            if self._total <= self.most_bytes:
                return
            for key in [key for key in self._found if key in self._sizes and key != newest]:
                if self._total <= self.most_bytes:
                    break
                del self._found[key]
                self._total -= self._sizes.pop(key)
