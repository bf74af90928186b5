"""Doing one thing while the next is prepared."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
    """The results of `function`, in the order of the items, made by a thread one item ahead of the caller.

    One call at a time; what it raises is raised here. When the caller stops, the call under way is
    waited for.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        before = None
        for item in items:
            this = pool.submit(function, item)
            if before is not None:
                yield before.result()
            before = this
        if before is not None:
            yield before.result()
