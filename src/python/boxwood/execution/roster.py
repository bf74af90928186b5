"""The workers of a Dask cluster that a job can use: they are there, and find the bits of this process."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import Any

from boxwood.errors import JobError
from boxwood.execution import worker

# Seconds of waiting for a first worker in silence.
_SILENT = 2.0
# Seconds that workers are waited for to answer, for some may be dead.
_PATIENCE = 5.0


class Question:
    """Something asked in a thread of its own, for Dask tries long to reach a process that is dead."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self.answer: Future[Any] = Future()
        self._since = time.monotonic()
        Thread(target=self._run, args=(ask,), daemon=True).start()

    def _run(self, ask: Callable[[], Any]) -> None:
        try:
            self.answer.set_result(ask())
        except BaseException as error:
            self.answer.set_exception(error)

    @property
    def is_fresh(self) -> bool:
        """Whether one that lives may still be about to answer."""
        return time.monotonic() - self._since < _PATIENCE


class Roster:
    """Who is there, and is used.

    Parameters
    ----------
    client : distributed.Client
    job : JobOfCluster
        Which workers must find the bits of.
    wait_s : float
        How long to wait for a first worker.
    tell : callable
        Called with a sentence where workers go, or cannot be used.

    Attributes
    ----------
    threads : dict of int
        Of each worker in use, by address; as it was at the last look.
    left : int
        How often all of them had gone.
    period_s : float
        Between two looks.
    """

    period_s = 0.5

    def __init__(
        self, client: Any, job: worker.JobOfCluster, wait_s: float, tell: Callable[[str], None]
    ) -> None:
        self._client, self._job, self._wait_s, self._tell = client, job, wait_s, tell
        self._scheduler = f"the scheduler at {client.scheduler.address}"
        self.threads: dict[str, int] = {}
        self.left = 0
        self._asked: dict[str, Question] = {}  # to those that have yet to say which bits they find
        self._refused: set[str] = set()
        self._looked = 0.0

    def look(self, wait: bool = False) -> None:
        """See which workers there are; make sure of new ones; if asked to, wait for one.

        Raises
        ------
        JobError
            The scheduler has gone, or no worker comes.
        """
        began = time.monotonic()
        told = False
        while time.monotonic() - self._looked > self.period_s or (wait and (not self.threads or self._asked)):
            self.check_alive()
            there = self._there()
            self._looked = time.monotonic()
            gone = set(self.threads) - set(there)
            self.left += bool(gone) and len(gone) == len(self.threads)
            for address in gone:
                del self.threads[address]
                self._tell(f"the worker {address} has gone; what it had is done by others")
            self._ask_and_admit(there)
            waited = time.monotonic() - began
            if not wait or (self.threads and not any(one.is_fresh for one in self._asked.values())):
                return
            if waited > _SILENT and not (told or self.threads):
                busy = (
                    ", which do not answer yet: another job may have to end what it does"
                    if self._asked
                    else ""
                )
                self._tell(f"waiting for workers of {self._scheduler}{busy}")
                told = True
            if waited > self._wait_s and not (self.threads or self._asked):
                refused = f" but {len(self._refused)} that cannot be used" if self._refused else ""
                raise JobError(
                    f"{self._scheduler} has no worker{refused} after {self._wait_s:g} s; "
                    "start workers of the same installation, then go on with --continue"
                )
            time.sleep(0.1)

    def check_alive(self) -> None:
        """Raise a `JobError` if the scheduler has gone."""
        if not self._alive:
            raise JobError(
                f"{self._scheduler} has gone; every file is whole: start a scheduler and "
                "workers, then go on with --continue"
            )

    def ask_all(self, what: Callable[[worker.JobOfCluster], None]) -> None:
        """Have those that are in use, and still there, do something; not for long, and whatever happens."""
        with suppress(Exception):  # they may be gone
            if self._alive:
                those = [address for address in self._there() if address in self.threads]
                where = {"workers": those, "on_error": "ignore", "callback_timeout": _PATIENCE}
                self._client.run(what, self._job, **where)

    @property
    def _alive(self) -> bool:
        return bool(self._client.status == "running")

    def _there(self) -> dict[str, Any]:
        """What the scheduler says of its workers, by address.

        Not `Client.scheduler_info`: that returns a copy which the client refreshes, without any worker, while
        one waits for it.
        """
        try:
            found = self._client.sync(self._client.scheduler.identity)
        except OSError:  # the connection is lost, and the client will know in a moment
            time.sleep(0.1)
            self.check_alive()
            return {address: {} for address in self.threads}
        workers: dict[str, Any] = found["workers"]
        return workers

    def _ask_and_admit(self, there: dict[str, Any]) -> None:
        """Ask new workers which bits they find, and use those that answered rightly; dead ones never do."""
        self._asked = {address: asked for address, asked in self._asked.items() if address in there}
        for address in there:
            if address not in self.threads and address not in self._refused and address not in self._asked:
                self._asked[address] = Question(partial(self._bits_of, address, there[address]["nthreads"]))
        for address, asked in list(self._asked.items()):
            if asked.answer.done():
                del self._asked[address]
                self._admit(address, there[address]["nthreads"], asked.answer)

    def _bits_of(self, address: str, threads: int) -> str:
        found = self._client.run(worker.admit, self._job, threads, workers=[address])
        bits: str = found[address]
        return bits

    def _admit(self, address: str, threads: int, answer: Future[str]) -> None:
        error = answer.exception()
        if error is None and answer.result() == self._job.bits:
            self.threads[address] = threads
            return
        if error is not None:
            self.check_alive()
        if isinstance(error, OSError) and error.filename:
            why = f"it cannot go to {error.filename} ({error.strerror}); all need the same folders"
        elif isinstance(error, OSError):
            why = f"it does not answer ({error})"
        else:
            has = answer.result() if error is None else f"{type(error).__name__}: {error}"
            why = (
                f"it would find other bits: it has {has}, and this process {self._job.bits}. Give all the "
                "same installation, and BOXWOOD_SIMD a set that all have"
            )
        self._refused.add(address)
        self._tell(f"the worker {address} is not used, because {why}")
