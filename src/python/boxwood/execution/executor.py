"""Where the pieces of a job are done: here, or by the workers of a cluster, with the same bits."""

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import Any, Protocol, TypeVar, overload

from boxwood.errors import BoxwoodError
from boxwood.execution.threads import Done, Failure, map_ordered
from boxwood.execution.tree import TreeSum

Item = TypeVar("Item")
Result = TypeVar("Result")
Term = TypeVar("Term")
Given = TypeVar("Given", contravariant=True)
Returned = TypeVar("Returned", covariant=True)
Added = TypeVar("Added", covariant=True)


class Here:
    """The process that a piece of work finds itself in, for the length of a job.

    Attributes
    ----------
    threads : int
        That the piece may use.
    tell : callable
        Called with a sentence for the log of the job.
    """

    def __init__(self, threads: int, tell: Callable[[str], None] = lambda text: None) -> None:
        self.threads, self.tell = threads, tell
        self._kept: dict[str, tuple[str, Any]] = {}
        self._lock = threading.RLock()

    def keep(self, name: str, key: str, make: Callable[[], Result]) -> Result:
        """What an earlier piece of work has left under this name with this key, or else what `make` returns.

        Only the latest of each name is kept.
        """
        with self._lock:
            if name not in self._kept or self._kept[name][0] != key:
                self._kept.pop(name, None)
                self._kept[name] = (key, make())
            kept: Result = self._kept[name][1]
            return kept


class Work(Protocol[Given, Returned, Added]):
    """What is done with many items. It can be pickled, and is sent to a process once for all of them."""

    def __call__(
        self, here: Here, items: Iterable[Given]
    ) -> Generator[tuple[Returned, Added | None], None, None]:
        """For each item, in their order, its result, and its term of a sum over all."""
        ...


class Executor(Protocol):
    """Does pieces of work.

    Attributes
    ----------
    here : Here
        This process.
    local : bool
        Whether it is this one that does them.
    """

    here: Here
    local: bool

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Done[Item, Result | Failure], None, None]:
        """Results in the order of the items; an exception of one is its result (`map_ordered`)."""
        ...

    def map_add(
        self,
        work: Work[Item, Result, Term],
        items: Sequence[Item],
        found: Callable[[int, Result | Failure], None],
        near: Callable[[int], float] = lambda number: 0.0,
    ) -> Term | None:
        """Call `found` with the number and the result of every item, and return the sum of their terms.

        An item whose work raises is a `Failure` and has no term, if the executor is told to go on without;
        otherwise the exception is raised.
        `found` is called in the caller's thread, in any order. The sum is a `TreeSum` by number. `near` puts
        every number between 0 and 1: a worker that has had an item gets those that are near it, as long as
        the job lasts, so that it finds again what it has kept.
        """
        ...


class Threads:
    """Does everything in this process."""

    local = True

    def __init__(
        self, threads: int, skip_failed: bool = False, tell: Callable[[str], None] = lambda text: None
    ) -> None:
        self.here, self._skip, self._tell = Here(threads, tell), skip_failed, tell

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Done[Item, Result | Failure], None, None]:
        return map_ordered(function, items, self.here.threads)

    def map_add(
        self,
        work: Work[Item, Result, Term],
        items: Sequence[Item],
        found: Callable[[int, Result | Failure], None],
        near: Callable[[int], float] = lambda number: 0.0,
    ) -> Term | None:
        tree: TreeSum[Term] = TreeSum(len(items))
        first = 0
        while first < len(items):
            try:
                with closing(work(self.here, items[first:])) as results:
                    for result, term in results:
                        tree.put(first, term)
                        found(first, result)
                        first += 1
            except Exception as error:
                if not self._skip or isinstance(error, BoxwoodError):
                    raise
                self._tell(left_out(first, len(items), error))
                tree.put(first, None)
                found(first, Failure(error))
                first += 1
        return tree.total


def left_out(number: int, total: int, error: Exception) -> str:
    """A sentence on an item whose work failed, and which is skipped."""
    return f"batch {number + 1} of {total} is left out, because it failed: {type(error).__name__}: {error}"


class Made(Sequence[Item]):
    """A list whose items are made when they are asked for, and which is pickled as a list of them."""

    def __init__(self, count: int, make: Callable[[int], Item]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, number: int) -> Item: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Item]: ...

    def __getitem__(self, number: int | slice) -> Item | Sequence[Item]:
        if isinstance(number, slice):
            first, last, step = number.indices(self._count)
            if step != 1:
                raise IndexError(f"every {step}th of a list that is made when it is asked for")
            return Made(max(last - first, 0), lambda i: self._make(first + i))
        if not 0 <= number < self._count:
            raise IndexError(number)
        return self._make(number)

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)
