"""Pieces of work done by the workers of a Dask cluster, with the bits that this process would find."""

from __future__ import annotations

import os
import queue
import secrets
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent import futures
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

from boxwood.errors import BoxwoodError, JobError
from boxwood.execution import worker
from boxwood.execution.executor import Here, Work, left_out
from boxwood.execution.roster import Question, Roster
from boxwood.execution.threads import Done, Failure
from boxwood.execution.tree import TreeSum

Item = TypeVar("Item")
Result = TypeVar("Result")
Term = TypeVar("Term")

# Items near one another have a home together; so many homes there are, for the workers to share.
_HOMES = 256
_NOWHERE = -1
# Blocks of items that a worker should have in a pass, so that those that are fast can do more, and the most
# items in one: a block is what is lost when a worker dies.
_BLOCKS, _LARGEST_BLOCK = 8, 7
# Workers that may go while they have the same piece of work.
_DEATHS = 3
# Given to Dask to leave a cluster that may be dead.
_PATIENCE_S = 5.0


class _Died(Exception):
    """Workers died of a piece of work, or while they had it."""


class _Gone(Exception):
    """The worker has gone with what it found."""


class Cluster:
    """An executor whose pieces of work are done by others.

    A worker gets pieces of work as it finishes others, so that fast ones do more and those that join late
    get theirs. What a dead one had is done again by another.

    Parameters
    ----------
    client : distributed.Client
    threads : int
        Of this process, for what is done here.
    simd : str
    use_simd, probe, stop : callable
        See `JobOfCluster`. Workers whose bits are others than those of this process are left out.
    skip_failed : bool
        Go on without an item whose work fails.
    wait_s : float
        How long to wait for a first worker.
    tell : callable
        Called with a sentence where workers come, go, or cannot be used.
    close : callable
        Called in the end, for a cluster that was started for this.
    """

    local = False

    def __init__(
        self,
        client: Any,
        threads: int,
        *,
        simd: str,
        use_simd: Callable[[str], bool],
        probe: Callable[[], str],
        stop: Callable[[bool], None],
        skip_failed: bool = False,
        wait_s: float = 60.0,
        tell: Callable[[str], None] = lambda text: None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.here = Here(threads, tell)
        self._client, self._skip, self._tell, self._close = client, skip_failed, tell, close
        self._job = worker.JobOfCluster(
            secrets.token_hex(8), os.getcwd(), simd, use_simd, probe, bits=probe(), stop=stop
        )
        self._workers = Roster(client, self._job, wait_s, tell)
        self._homes: dict[int, str] = {}  # addresses of workers, of which some may have gone
        self._numbers = count()
        self._finished = False

    # What jobs ask for

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Done[Item, Result | Failure], None, None]:
        items = list(items)
        sent = self._broadcast(function)

        def submit(number: int, address: str) -> Any:
            return self._submit([address], False, worker.run_one, self._job, sent(), items[number])

        waiting: dict[int, Result | Failure] = {}
        yielded = 0

        def allowed(number: int) -> bool:  # so that few results wait for one that is slow
            return number < yielded + 4 * sum(self._workers.threads.values())

        everywhere = dict.fromkeys(range(len(items)), _NOWHERE)
        for number, result in self._dispatch(everywhere, submit, allowed, per_thread=2):
            waiting[number] = result
            while yielded in waiting:
                yield Done(items[yielded], waiting.pop(yielded))
                yielded += 1

    def map_add(
        self,
        work: Work[Item, Result, Term],
        items: Sequence[Item],
        found: Callable[[int, Result | Failure], None],
        near: Callable[[int], float] = lambda number: 0.0,
    ) -> Term | None:
        self._workers.look(wait=True)
        share = len(items) // (_BLOCKS * len(self._workers.threads))
        level = min(max(share.bit_length() - 1, 0), _LARGEST_BLOCK)
        tree: TreeSum[Term] = TreeSum(len(items))
        failed: list[int] = []
        for number, block in self._blocks(work, items, near, level, range(-(-len(items) >> level))):
            if isinstance(block, Failure) and level:
                failed.append(number)
            else:
                self._take(number, level, block, tree, found, len(items))
        # Of a block that failed, each item for itself.
        one_by_one = [n for number in failed for n in range(number << level, (number + 1) << level)]
        for number, block in self._blocks(work, items, near, 0, [n for n in one_by_one if n < len(items)]):
            self._take(number, 0, block, tree, found, len(items))
        return tree.total

    def _blocks(
        self,
        work: Work[Item, Result, Term],
        items: Sequence[Item],
        near: Callable[[int], float],
        level: int,
        numbers: Iterable[int],
    ) -> Iterator[tuple[int, worker.Block | Failure]]:
        """What is found in the items from ``number << level`` to before ``(number + 1) << level``."""
        homes = {number: int(near(number << level) * _HOMES) for number in numbers}
        if not homes:
            return
        sent = self._broadcast(work)

        def submit(number: int, address: str) -> Any:
            part = items[number << level : (number + 1) << level]
            return self._submit([address], False, worker.run_block, self._job, sent(), part)

        yield from self._dispatch(homes, submit, lambda number: True, alone=not level)

    def _take(
        self,
        number: int,
        level: int,
        block: worker.Block | Failure,
        tree: TreeSum[Term],
        found: Callable[[int, Result | Failure], None],
        total: int,
    ) -> None:
        first = number << level
        if isinstance(block, worker.Block):
            tree.put(number, block.term, level)
            for item, result in enumerate(block.results, first):
                found(item, result)
            return
        error = block.error
        if isinstance(error, BoxwoodError):
            raise error
        if not self._skip:
            raise JobError(
                f"batch {first + 1} of {total} failed wherever it was tried ({type(error).__name__}: "
                f"{error}); to go on without, give --skip-failed with --continue"
            ) from error
        self._tell(left_out(first, total, error))
        tree.put(first, None)
        found(first, block)

    def close(self, stopped: bool = False) -> None:
        """Have the workers forget the job, at once if it was stopped, and leave them."""
        if self._finished:
            return
        self._finished = True
        self._workers.ask_all(worker.stop if stopped else worker.forget)
        with suppress(Exception):
            self._client.close(timeout=_PATIENCE_S)
        self._close()

    # How they are done

    def _broadcast(self, value: Any) -> Callable[[], Any]:
        """What stands for a value that each worker fetches once, from the next that has it.

        It is computed, not scattered: what is scattered is lost with the worker that has it. It is sent anew
        where all that might have had it have gone, for then nobody computes it again, or where too many died
        that were to.
        """
        sent: list[Any] = [None, -1]

        def there() -> Any:
            if sent[1] != self._workers.left or sent[0].status == "error":
                at = list(self._workers.threads)
                sent[:] = self._submit(at, True, worker.same, value), self._workers.left
            return sent[0]

        return there

    def _submit(self, at: list[str], or_others: bool, function: Callable[..., Any], *arguments: Any) -> Any:
        key = f"boxwood-{function.__name__}-{self._job.name}-{next(self._numbers)}"
        where = {"workers": at, "allow_other_workers": or_others}
        return self._client.submit(function, *arguments, key=key, pure=False, **where)

    def _dispatch(
        self,
        homes: dict[int, int],
        submit: Callable[[int, str], Any],
        allowed: Callable[[int], bool],
        per_thread: int = 0,
        alone: bool = True,
    ) -> Iterator[tuple[int, Any]]:
        """Numbers and what is found, or a `Failure`, as it comes.

        A worker has two at once, or so many a thread, and what it dies of is not known. So those that it had
        are tried again one after the other, `alone`, and only the one that it dies of again fails.
        """
        rest = dict(homes)
        while rest:
            died: list[int] = []
            for number, result in self._results(rest, submit, allowed, per_thread):
                del rest[number]
                if alone and isinstance(result, Failure) and isinstance(result.error, _Died):
                    died.append(number)
                else:
                    yield number, result
            for number in died:
                yield from self._results({number: homes[number]}, submit, lambda number: True, 1)

    def _results(
        self,
        homes: dict[int, int],
        submit: Callable[[int, str], Any],
        allowed: Callable[[int], bool],
        per_thread: int,
    ) -> Iterator[tuple[int, Any]]:
        """Numbers and what is found, as it comes; no more where none of the others is allowed.

        A piece of work is bound to its worker: Dask would give it to any that idles, even one that does not
        answer. So it is for us to give it to another where its worker has gone.
        """
        pending: dict[int, deque[int]] = {}
        for number, home in homes.items():
            pending.setdefault(home, deque()).append(number)
        running: dict[Any, tuple[int, str]] = {}  # by future
        deaths: Counter[int] = Counter()
        finished: queue.SimpleQueue[Any] = queue.SimpleQueue()
        try:
            while pending or running:
                self._workers.look(wait=not self._workers.threads)
                for future, (number, address) in list(running.items()):
                    if address not in self._workers.threads:
                        del running[future]
                        self._cancel(future)
                        deaths[number] += 1
                        if deaths[number] > _DEATHS:
                            yield number, Failure(_Died("every worker that was given it has gone"))
                        else:
                            pending.setdefault(homes[number], deque()).appendleft(number)
                load = dict.fromkeys(self._workers.threads, 0)
                for _, address in running.values():
                    if address in load:  # our caller may have looked meanwhile
                        load[address] += 1
                for address in sorted(load, key=load.__getitem__):
                    room = per_thread * self._workers.threads[address] if per_thread else 2
                    while load[address] < room:
                        chosen = self._next(pending, address, allowed)
                        if chosen is None:
                            break
                        future = submit(chosen, address)
                        running[future] = (chosen, address)
                        future.add_done_callback(finished.put)
                        load[address] += 1
                if self._workers.threads and not running:
                    return
                with suppress(queue.Empty, _Gone):
                    future = finished.get(timeout=self._workers.period_s)
                    if future in running:
                        result = self._result(future, running[future][1])
                        yield running.pop(future)[0], result
        except BaseException:
            self._cancel(*running)
            raise

    def _cancel(self, *futures: Any) -> None:
        with suppress(Exception):  # the scheduler may have gone, too
            self._client.cancel(list(futures), force=True)

    def _next(
        self, pending: dict[int, deque[int]], address: str, allowed: Callable[[int], bool]
    ) -> int | None:
        """What a worker does next: what is at home with it, or nowhere, or, so as not to idle, elsewhere."""
        at = {home: self._homes[home] for home in pending if self._homes.get(home) in self._workers.threads}
        home = next((home for home in pending if at.get(home) == address), None)
        if home is None:
            home = next((home for home in pending if home not in at), None)
        if home is None:
            others: dict[str, list[int]] = {}
            for other in pending:
                others.setdefault(at[other], []).append(other)
            most = max(others.values(), key=len, default=[])
            if len(most) < 2:  # the last one is done soonest where it is known
                return None
            home = most[-1]
        if not allowed(pending[home][0]):
            return None
        number = pending[home].popleft()
        if not pending[home]:
            del pending[home]
        if home != _NOWHERE:
            self._homes[home] = address
        return number

    def _result(self, future: Any, address: str) -> Any:
        """What a finished future of a worker has, or the `Failure` of its work.

        Raises
        ------
        _Gone
            The worker is no more, and what it found neither.
        """
        from distributed import KilledWorker

        try:
            answer = self._wait(future, address)
            for text in answer.told:
                self._tell(text)
            return answer.result
        except worker.Stopped:
            raise KeyboardInterrupt from None
        except KilledWorker:
            return Failure(_Died("every worker that was given it died"))
        except _Gone:
            raise
        except worker.OtherBits as error:  # where a worker was begun anew under its old address
            return Failure(_Died(f"the workers that are left would find other bits: {error}"))
        except Exception as error:
            self._workers.check_alive()
            return Failure(error)

    def _wait(self, future: Any, address: str) -> Any:
        """The result of a future; not for longer than there are its worker and a scheduler.

        Dask is given no limit: what it gives up it cancels, and from then on nothing can be fetched.
        """
        answer = Question(future.result).answer
        while not futures.wait([answer], timeout=self._workers.period_s).done:
            self._workers.check_alive()
            self._workers.look()
            if address not in self._workers.threads:
                raise _Gone
        return answer.result()
