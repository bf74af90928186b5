"""Where the pieces of a job are done: here, or by the workers of a cluster, with the same bits."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from typing import Any, Protocol, TypeVar, overload

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
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._kept: dict[str, Any] = {}

    def keep(self, name: str, make: Callable[[], Result]) -> Result:
        """What an earlier piece of work has left under this name, or else what `make` returns."""
        if name not in self._kept:
            self._kept[name] = make()
        kept: Result = self._kept[name]
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
    """

    here: Here

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Done[Item, Result | Failure], None, None]:
        """Results in the order of the items; an exception of one is its result (`map_ordered`)."""
        ...

    def map_add(
        self,
        work: Work[Item, Result, Term],
        items: Sequence[Item],
        found: Callable[[int, Result], None],
        near: Callable[[int], float] = lambda number: 0.0,
    ) -> Term | None:
        """Call `found` with the number and the result of every item, and return the sum of their terms.

        `found` is called in the caller's thread, in any order. The sum is a `TreeSum` by number. `near` puts
        every number between 0 and 1: a worker that has had an item gets those that are near it, as long as
        the job lasts, so that it finds again what it has kept.
        """
        ...


class Threads:
    """Does everything in this process."""

    def __init__(self, threads: int) -> None:
        self.here = Here(threads)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Done[Item, Result | Failure], None, None]:
        return map_ordered(function, items, self.here.threads)

    def map_add(
        self,
        work: Work[Item, Result, Term],
        items: Sequence[Item],
        found: Callable[[int, Result], None],
        near: Callable[[int], float] = lambda number: 0.0,
    ) -> Term | None:
        return add_in_order(work, self.here, items, found)


def add_in_order(
    work: Work[Item, Result, Term], here: Here, items: Sequence[Item], found: Callable[[int, Result], None]
) -> Term | None:
    """`Executor.map_add` in this process, one item after the other."""
    tree: TreeSum[Term] = TreeSum(len(items))
    with closing(work(here, items)) as results:
        for number, (result, term) in enumerate(results):
            tree.put(number, term)
            found(number, result)
    return tree.total


class Made(Sequence[Item]):
    """A list whose items are made when they are asked for."""

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
            return [self._make(i) for i in range(*number.indices(self._count))]
        if not 0 <= number < self._count:
            raise IndexError(number)
        return self._make(number)
