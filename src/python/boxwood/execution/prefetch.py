"""Doing one thing while the next is prepared."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """The results of `function`, in the order of the items, made by a thread one item ahead of the caller.

    The first is begun at once. One call at a time; what it raises is raised where its result is asked for.
    When the caller stops, even before the first result, the call under way is waited for.
    """
    results = _results(function, items)
    next(results)
    return results


def _results(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Any, None, None]:
    """Nothing, once the first call has begun; then the results."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        rest = iter(items)
        begun = [pool.submit(function, item) for item in islice(rest, 1)]
        yield
        for item in rest:
            begun.append(pool.submit(function, item))
            yield begun.pop(0).result()
        for last in begun:
            yield last.result()
