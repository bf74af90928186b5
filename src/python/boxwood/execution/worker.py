"""What a worker of a cluster does: pieces of work, for one job or several.

It knows nothing of Dask. Everything here is called by `boxwood.execution.cluster` in another process.
"""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from boxwood.execution.blas import keep_one_blas_thread
from boxwood.execution.executor import Here, Work
from boxwood.execution.threads import attempt
from boxwood.execution.tree import TreeSum


@dataclass(frozen=True)
class JobOfCluster:
    """A job as its workers know it.

    Attributes
    ----------
    name : str
        Of no other job.
    folder : str
        Where it runs: relative names of files start from it.
    stop : callable
        ``stop(True)`` has what is under way in a process end by KeyboardInterrupt; False takes that back.
    """

    name: str
    folder: str
    stop: Callable[[bool], None]


class Stopped(Exception):
    """The job was stopped."""


@dataclass
class _Process:
    """What this process does now, and for whom."""

    here: dict[str, Here] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    busy: dict[str, int] = field(default_factory=dict)
    folder: str = ""
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


def admit(job: JobOfCluster, threads: int, probe: Callable[[], str]) -> str:
    """Begin with a job; what `probe` returns in this process.

    What was kept for jobs that do nothing here now is dropped: nobody else would, where their command was
    killed, and those that live make it again.
    """
    keep_one_blas_thread()
    with _process.changed:
        for name, here in _process.here.items():
            if name != job.name and not _process.busy.get(name):
                _process.here[name] = Here(here.threads, tell)
        _process.here.setdefault(job.name, Here(threads, tell))
    return probe()


def forget(job: JobOfCluster) -> None:
    """Drop all that was kept for a job."""
    with _process.changed:
        _process.here.pop(job.name, None)


def stop(job: JobOfCluster) -> None:
    """End what is done for a job, within a second, and do no more of it."""
    with _process.changed:
        _process.stopped.add(job.name)
        if _process.busy.get(job.name):
            job.stop(True)
        else:
            _process.here.pop(job.name, None)


def same(value: Any) -> Any:
    """What is sent to one worker, for the others to fetch from it."""
    return value


def run_one(job: JobOfCluster, function: Callable[[Any], Any], item: Any) -> Answer:
    """The result of a function for one item, or its `Failure`."""
    return _until_done(job, lambda here: attempt(function, item))


def run_block(job: JobOfCluster, work: Work[Any, Any, Any], items: Sequence[Any]) -> Answer:
    """The results of a `Work` for some items in a row: a `Block`."""

    def run(here: Here) -> Block:
        with _process.turn:
            results, tree = [], TreeSum[Any](len(items))
            for number, (result, term) in enumerate(work(here, items)):
                tree.put(number, term)
                results.append(result)
        return Block(results, tree.total)

    return _until_done(job, run)


def _until_done(job: JobOfCluster, run: Callable[[Here], Any]) -> Answer:
    """Run a piece of work, again where another job was stopped and this one was hit."""
    while True:
        with _working(job):
            try:
                result = run(_process.here.setdefault(job.name, Here(1, tell)))
                with _process.changed:
                    told, _process.told = _process.told, []
                return Answer(result, told)
            except KeyboardInterrupt:
                if job.name in _process.stopped:
                    raise Stopped(job.name) from None


@contextmanager
def _working(job: JobOfCluster) -> Iterator[None]:
    """Be in the job's folder and, for a start, not asked to stop. Jobs of one folder may share a process."""
    process = _process
    with process.changed:
        while process.folder not in ("", job.folder) and any(process.busy.values()):
            process.changed.wait()
        if job.name in process.stopped:
            raise Stopped(job.name)
        if process.folder != job.folder:
            os.chdir(job.folder)
            process.folder = job.folder
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
