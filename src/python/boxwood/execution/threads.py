"""Map a function over items with threads of this process."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """An item whose function raised; the others go on."""

    error: Exception


@dataclass(frozen=True)
class Done(Generic[Item, Result]):
    """One item and its result."""

    item: Item
    result: Result


def map_ordered(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int = 1
) -> Generator[Done[Item, Result | Failure], None, None]:
    """Yield the results in the order of the items, `threads` of them being worked on at once.

    An exception of one item is its result (a `Failure`). Results wait for the caller: never more than
    2·threads are held, so long lists of large images do not fill the memory. When the caller stops
    (error, Ctrl-C, `close()`), items not yet begun are dropped and those being worked on are waited for,
    so that no thread writes files after the generator has ended.
    """
    pool = ThreadPoolExecutor(max_workers=max(1, threads))
    waiting: deque[tuple[Item, Future[Result | Failure]]] = deque()
    try:
        for item in items:
            waiting.append((item, pool.submit(attempt, function, item)))
            if len(waiting) >= 2 * threads:
                done, future = waiting.popleft()
                yield Done(done, future.result())
        while waiting:
            done, future = waiting.popleft()
            yield Done(done, future.result())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def attempt(function: Callable[[Item], Result], item: Item) -> Result | Failure:
    """What the function returns for an item, or raises."""
    try:
        return function(item)
    except Exception as error:
        return Failure(error)
