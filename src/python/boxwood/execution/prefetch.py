"""Doing one thing while the next is prepared."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """The results of `function`, in the order of the items, made by a thread one item ahead of the caller.

    The first is begun at once. One call at a time; what it raises is raised where its result is asked for.
    When the caller stops, the call under way is waited for.
    """
    pool, rest = ThreadPoolExecutor(max_workers=1), iter(items)
    first = [pool.submit(function, item) for item in islice(rest, 1)]
    return _results(pool, function, first, rest)


def _results(
    pool: ThreadPoolExecutor,
    function: Callable[[Item], Result],
    begun: list[Future[Result]],
    rest: Iterator[Item],
) -> Generator[Result, None, None]:
    with pool:
        for item in rest:
            begun.append(pool.submit(function, item))
            yield begun.pop(0).result()
        for last in begun:
            yield last.result()
