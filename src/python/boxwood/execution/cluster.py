"""Pieces of work done by the workers of a Dask cluster, with the bits that this process would find."""

from __future__ import annotations

import os
import queue
import secrets
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

from boxwood.errors import BoxwoodError, JobError
from boxwood.execution import worker
from boxwood.execution.executor import Here, Work, left_out
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
_BLOCKS, _LARGEST_BLOCK = 8, 5
# Seconds between two looks at who is there.
_LOOK = 0.5
# Seconds that a worker is waited for to stop.
_PATIENCE = 5.0


class Cluster:
    """An executor whose pieces of work are done by others.

    A worker gets pieces of work as it finishes others, so that fast ones do more and those that join late
    get theirs. What a dead one had is done again by another.

    Parameters
    ----------
    client : distributed.Client
    threads : int
        Of this process, for what is done here.
    probe : callable
        ``probe()`` names the bits that a process computes. Workers where it says otherwise are left out.
    stop : callable
        See `JobOfCluster`.
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
        probe: Callable[[], str],
        stop: Callable[[bool], None],
        skip_failed: bool = False,
        wait_s: float = 60.0,
        tell: Callable[[str], None] = lambda text: None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.here = Here(threads)
        self._client, self._probe, self._skip, self._wait_s, self._tell = (
            client,
            probe,
            skip_failed,
            wait_s,
            tell,
        )
        self._close, self._bits, self._address = close, probe(), client.scheduler.address
        self._job = worker.JobOfCluster(secrets.token_hex(8), os.getcwd(), stop)
        self._threads: dict[str, int] = {}  # of the workers in use
        self._refused: set[str] = set()
        self._homes: dict[int, str] = {}
        self._looked = 0.0
        self._numbers = count()
        self._finished = False

    # What jobs ask for

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Done[Item, Result | Failure], None, None]:
        items = list(items)
        sent, key = self._broadcast(function)

        def submit(number: int, address: str) -> Any:
            return self._submit(worker.run_one, self._job, key, sent, items[number], at=address)

        waiting: dict[int, Result | Failure] = {}
        yielded = 0

        def allowed(number: int) -> bool:  # so that few results wait for one that is slow
            return number < yielded + 4 * sum(self._threads.values())

        for number, future in self._dispatch(
            len(items), submit, lambda number: _NOWHERE, allowed, per_thread=2
        ):
            waiting[number] = self._result(future, f"item {number + 1}, {items[number]}")
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
        if not items:
            return None
        sent, key = self._broadcast(work)
        self._look(wait=True)
        level = min(max((len(items) // (_BLOCKS * len(self._threads))).bit_length() - 1, 0), _LARGEST_BLOCK)
        tree: TreeSum[Any] = TreeSum(len(items), lambda left, right: self._submit(worker.add, left, right))
        blocks: dict[int, Any] = {}

        def run(level: int, numbers: Sequence[int]) -> None:
            """The blocks ``number << level``; each item of one that fails for itself."""

            def submit(place: int, address: str) -> Any:
                part = items[numbers[place] << level : (numbers[place] + 1) << level]
                block = blocks[place] = self._submit(worker.run_block, self._job, key, sent, part, at=address)
                return self._submit(worker.results_of, block, at=address)

            def home(place: int) -> int:
                return int(near(numbers[place] << level) * _HOMES)

            failed = []
            for place, future in self._dispatch(len(numbers), submit, home, lambda place: True, per_thread=0):
                first, block = numbers[place] << level, blocks.pop(place)
                results = self._result(future, f"item {first + 1}")
                if not isinstance(results, Failure):
                    tree.put(numbers[place], block, level)
                    for number, result in enumerate(results, first):
                        found(number, result)
                elif level:
                    failed.append(first)
                elif self._skip and not isinstance(results.error, BoxwoodError):
                    self._tell(left_out(first, len(items), results.error))
                    tree.put(numbers[place], None)
                    found(first, results)
                elif isinstance(results.error, BoxwoodError):
                    raise results.error
                else:
                    raise JobError(
                        f"batch {first + 1} of {len(items)} failed wherever it was tried "
                        f"({type(results.error).__name__}: {results.error}); to go on without, give "
                        "--skip-failed with --continue"
                    ) from results.error
            if failed:
                run(0, [n for first in failed for n in range(first, min(first + (1 << level), len(items)))])

        run(level, range(-(-len(items) >> level)))
        if tree.total is None:
            return None
        total = self._wait(tree.total)
        return total.term

    def close(self, stopped: bool = False) -> None:
        """Have the workers forget the job, at once if it was stopped, and leave them."""
        if self._finished:
            return
        self._finished = True
        with suppress(Exception):  # they may be gone
            if self._alive:
                what = worker.stop if stopped else worker.forget
                self._client.run(what, self._job, workers=list(self._threads), on_error="ignore", wait=True)
        with suppress(Exception):
            self._client.close(timeout=_PATIENCE)
        self._close()

    # How they are done

    def _broadcast(self, value: Any) -> tuple[Any, str]:
        """A value that each worker fetches once, from the next that has it; and a name for it.

        It is computed, not scattered: what is scattered is lost with the worker that has it.
        """
        from cloudpickle import dumps

        key = f"{self._job.name}-{next(self._numbers)}"
        return self._submit(bytes, dumps(value)), key

    def _submit(self, function: Callable[..., Any], *arguments: Any, at: str | None = None) -> Any:
        key = f"boxwood-{function.__name__}-{self._job.name}-{next(self._numbers)}"
        where = {} if at is None else {"workers": [at], "allow_other_workers": True}
        return self._client.submit(function, *arguments, key=key, pure=False, **where)

    def _dispatch(
        self,
        total: int,
        submit: Callable[[int, str], Any],
        home: Callable[[int], int],
        allowed: Callable[[int], bool],
        per_thread: int,
    ) -> Iterator[tuple[int, Any]]:
        """Numbers and their futures as these are finished; a worker has two, or so many a thread, at once."""
        pending: dict[int, deque[int]] = {}
        for number in range(total):
            pending.setdefault(home(number), deque()).append(number)
        running: dict[int, tuple[str, Any]] = {}
        finished: queue.SimpleQueue[int] = queue.SimpleQueue()
        try:
            while pending or running:
                self._look(wait=not self._threads)
                load = dict.fromkeys(self._threads, 0)
                for address, _ in running.values():
                    if address in load:
                        load[address] += 1
                for address in sorted(load, key=load.__getitem__):
                    room = per_thread * self._threads[address] if per_thread else 2
                    while load[address] < room:
                        chosen = self._next(pending, address, allowed)
                        if chosen is None:
                            break
                        future = submit(chosen, address)
                        running[chosen] = (address, future)
                        future.add_done_callback(lambda _, number=chosen: finished.put(number))
                        load[address] += 1
                with suppress(queue.Empty):
                    number = finished.get(timeout=_LOOK)
                    yield number, running.pop(number)[1]
        except BaseException:
            with suppress(Exception):
                self._client.cancel([future for _, future in running.values()], force=True)
            raise

    def _next(
        self, pending: dict[int, deque[int]], address: str, allowed: Callable[[int], bool]
    ) -> int | None:
        """What a worker does next: what is at home with it, or nowhere, or, so as not to idle, elsewhere."""
        home = next((home for home in pending if self._homes.get(home) == address), None)
        if home is None:
            home = next((home for home in pending if home not in self._homes), None)
        if home is None:
            others: dict[str, list[int]] = {}
            for other in pending:
                others.setdefault(self._homes[other], []).append(other)
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

    @property
    def _alive(self) -> bool:
        return bool(self._client.status == "running")

    def _look(self, wait: bool = False) -> None:
        """See which workers there are; make sure of new ones; if asked to, wait for one.

        Raises
        ------
        JobError
            The scheduler has gone, or no worker comes.
        """
        until = time.monotonic() + self._wait_s
        while time.monotonic() - self._looked > _LOOK or (wait and not self._threads):
            self._check_alive()
            there = self._client.scheduler_info(n_workers=-1)["workers"]
            self._looked = time.monotonic()
            for address in set(self._threads) - set(there):
                del self._threads[address]
                self._homes = {home: at for home, at in self._homes.items() if at != address}
                self._tell(f"the worker {address} has gone; what it had is done by others")
            fresh = [
                address for address in there if address not in self._threads and address not in self._refused
            ]
            for address in fresh:
                self._admit(address, there[address]["nthreads"])
            if self._threads or not wait:
                return
            if time.monotonic() > until:
                refused = f" but {len(self._refused)} that cannot be used" if self._refused else ""
                raise JobError(
                    f"the scheduler at {self._address} has no worker{refused} after {self._wait_s:g} s; "
                    "start workers of the same installation, then go on with --continue"
                )
            time.sleep(0.1)

    def _check_alive(self) -> None:
        if not self._alive:
            raise JobError(
                f"the scheduler at {self._address} has gone; every file is whole: start a scheduler and "
                "workers, then go on with --continue"
            )

    def _admit(self, address: str, threads: int) -> None:
        try:
            bits = self._client.run(worker.admit, self._job, threads, self._probe, workers=[address])[address]
        except Exception as error:
            self._check_alive()
            bits = f"{type(error).__name__}: {error}"
        if bits == self._bits:
            self._threads[address] = threads
            return
        self._refused.add(address)
        self._tell(
            f"the worker {address} is not used, because it would find other bits: it has {bits}, and this "
            f"process {self._bits}. Give all the same installation, and BOXWOOD_SIMD a set that all have"
        )

    def _result(self, future: Any, what: str) -> Any:
        """What a finished future has, or the `Failure` of its work."""
        try:
            return self._wait(future)
        except JobError:
            raise
        except BoxwoodError as error:
            return Failure(error)
        except Exception as error:
            self._check_alive()
            if isinstance(error, worker.Stopped):
                raise KeyboardInterrupt from None
            if type(error).__name__ == "KilledWorker":
                error = RuntimeError(f"every worker that was given {what} died")
            return Failure(error)

    def _wait(self, future: Any) -> Any:
        """The result of a future; not for longer than there is a scheduler."""
        from distributed import TimeoutError as Timeout

        while True:
            try:
                return future.result(timeout=_LOOK)
            except Timeout:
                self._check_alive()
