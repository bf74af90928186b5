"""What a worker of a cluster does: pieces of work, for one job or several.

It knows nothing of Dask. Everything here is called by `boxwood.execution.cluster` in another process.
"""

from __future__ import annotations

import asyncio
import os
import platform
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from boxwood.execution.blas import keep_one_blas_thread
from boxwood.execution.executor import Here, Work
from boxwood.execution.threads import attempt
from boxwood.execution.tree import TreeSum

Found = TypeVar("Found")


@dataclass(frozen=True)
class JobOfCluster:
    """A job as its workers know it.

    Attributes
    ----------
    name : str
        Of no other job.
    folder : str
        Where it runs: relative names of files start from it.
    simd : str
        The instruction set that its kernels use.
    use_simd : callable
        ``use_simd(simd)`` has all kernels of a process use it.
    probe : callable
        ``probe()`` names the bits that a process computes.
    bits : str
        What it has to say.
    stop : callable
        ``stop(True)`` has what is under way in a process end by KeyboardInterrupt; False takes that back.
    """

    name: str
    folder: str
    simd: str
    use_simd: Callable[[str], bool]
    probe: Callable[[], str]
    bits: str
    stop: Callable[[bool], None]

    @property
    def needs(self) -> tuple[str, str]:
        """What is one for a whole process: jobs that need the same may share one at the same time."""
        return self.folder, self.simd


class Stopped(Exception):
    """The job was stopped."""


class OtherBits(Exception):
    """This process would find other bits than the job's own."""


@dataclass
class _Process:
    """What this process does now, and for whom."""

    here: dict[str, Here] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    busy: dict[str, int] = field(default_factory=dict)
    bits: dict[str, str] = field(default_factory=dict)
    set_to: tuple[str, str] | None = None  # what jobs need
    waiting: deque[tuple[str, str]] = field(default_factory=deque)
    told: list[str] = field(default_factory=list)  # what has not been sent to any job yet
    changed: threading.Condition = field(default_factory=threading.Condition)
    # Blocks of one process take turns: each uses all of its threads.
    turn: threading.Lock = field(default_factory=threading.Lock)


_process = _Process()


@dataclass
class Answer:
    """What comes back of a piece of work, and sentences for the log of the job."""

    result: Any
    told: list[str]


@dataclass
class Block:
    """What was found in some items, and the sum of their terms."""

    results: list[Any]
    term: Any


def tell(text: str) -> None:
    """Put a sentence, with this computer's name, into the log of the job whose piece of work is done next."""
    with _process.changed:
        _process.told.append(f"{platform.node()}: {text}")


async def admit(job: JobOfCluster, threads: int) -> str:
    """Begin with a job; the bits that this process finds, once it may be set to what the job needs.

    What was kept for jobs that do nothing here now is dropped: nobody else would, where their command was
    killed, and those that live make it again.
    """
    keep_one_blas_thread()
    with _process.changed:
        for name, here in _process.here.items():
            if name != job.name and not _process.busy.get(name):
                _process.here[name] = Here(here.threads, tell)
        _process.here.setdefault(job.name, Here(threads, tell))
    # It may have to wait, and this thread has others to answer.
    return await asyncio.to_thread(_until_done, job, partial(_bits, job))


def forget(job: JobOfCluster) -> None:
    """Drop all that was kept for a job."""
    with _process.changed:
        _process.here.pop(job.name, None)
        _process.bits.pop(job.name, None)


def stop(job: JobOfCluster) -> None:
    """End what is done for a job, within a second, and do no more of it."""
    with _process.changed:
        _process.stopped.add(job.name)
        if _process.busy.get(job.name):
            job.stop(True)
        else:
            _process.here.pop(job.name, None)
        _process.changed.notify_all()


def same(value: Any) -> Any:
    """What is sent to one worker, for the others to fetch from it."""
    return value


def run_one(job: JobOfCluster, function: Callable[[Any], Any], item: Any) -> Answer:
    """The result of a function for one item, or its `Failure`."""
    return _answer(job, lambda here: attempt(function, item))


def run_block(job: JobOfCluster, work: Work[Any, Any, Any], items: Sequence[Any]) -> Answer:
    """The results of a `Work` for some items in a row: a `Block`."""

    def run(here: Here) -> Block:
        with _process.turn:
            results, tree = [], TreeSum[Any](len(items))
            for number, (result, term) in enumerate(work(here, items)):
                tree.put(number, term)
                results.append(result)
        return Block(results, tree.total)

    return _answer(job, run)


def _answer(job: JobOfCluster, run: Callable[[Here], Any]) -> Answer:
    """Run a piece of work if it finds the right bits: a worker that was begun anew has not been asked."""

    def rightly() -> Answer:
        if (found := _bits(job)) != job.bits:
            raise OtherBits(found)
        result = run(_process.here.setdefault(job.name, Here(1, tell)))
        with _process.changed:
            told, _process.told = _process.told, []
        return Answer(result, told)

    return _until_done(job, rightly)


def _bits(job: JobOfCluster) -> str:
    """The bits that this process finds, which is asked once for each job."""
    if job.name not in _process.bits:
        keep_one_blas_thread()
        _process.bits[job.name] = job.probe()
    return _process.bits[job.name]


def _until_done(job: JobOfCluster, run: Callable[[], Found]) -> Found:
    """Do something for a job, again where another job was stopped and this one was hit."""
    while True:
        with _working(job):
            try:
                return run()
            except KeyboardInterrupt:
                if job.name in _process.stopped:
                    raise Stopped(job.name) from None


@contextmanager
def _working(job: JobOfCluster) -> Iterator[None]:
    """Have the process set to what the job needs, and, for a start, not be asked to stop.

    Jobs that need something else wait until nothing is under way, and then have their turn before what came
    after them.
    """
    process = _process

    def has_turn() -> bool:
        first = process.waiting[0] == job.needs and (process.set_to == job.needs or not process.busy)
        return first or job.name in process.stopped

    with process.changed:
        process.waiting.append(job.needs)
        try:
            process.changed.wait_for(has_turn)
        finally:
            process.waiting.remove(job.needs)
            process.changed.notify_all()
        if job.name in process.stopped:
            raise Stopped(job.name)
        if process.set_to != job.needs:
            process.set_to = None
            os.chdir(job.folder)
            job.use_simd(job.simd)  # where it cannot be used, the bits are others
            process.set_to = job.needs
        process.busy[job.name] = process.busy.get(job.name, 0) + 1
    try:
        yield
    finally:
        with process.changed:
            process.busy[job.name] -= 1
            if not process.busy[job.name]:
                del process.busy[job.name]
                if job.name in process.stopped:
                    process.here.pop(job.name, None)
                    if process.stopped.isdisjoint(process.busy):  # or another is still to end
                        job.stop(False)
            process.changed.notify_all()
