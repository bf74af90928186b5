"""The workers of a job: threads of this process, or those of a Dask cluster that is there or is started."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from boxwood.errors import InputError, JobError
from boxwood.execution import Executor, Threads
from boxwood.execution.blas import one_blas_thread
from boxwood.jobs.abort import stop_all

if TYPE_CHECKING:
    from boxwood.jobs.context import JobContext

# Batch systems by name, and the classes of dask-jobqueue for them.
QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}
INSTALL = "pip install 'boxwood[cluster]'"
# Seconds to wait for a scheduler's answer, and for a first worker: one that is there, and one in a queue.
_ANSWER, _WORKER, _QUEUED = 15.0, 60.0, 24 * 3600.0


def batch_systems() -> ModuleType:
    """The package dask_jobqueue, which takes SIGINT for itself when it is imported: Ctrl-C stays ours."""
    answer = signal.getsignal(signal.SIGINT)
    try:
        import dask_jobqueue
    finally:
        signal.signal(signal.SIGINT, answer)
    return dask_jobqueue


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Who does the pieces of work of a job. That changes no bit of its results.

    Attributes
    ----------
    executor : str
        "threads" of this process, or "dask".
    scheduler : str or None
        Address of a Dask scheduler ("tcp://…", or "tls://…" with the certificates of Dask's configuration),
        or the name of a batch system, whose jobs are then the workers: "slurm", "pbs", "sge" or "lsf".
    workers : int
        Jobs of the batch system; 1 or more.
    cores : int
        Cores, and threads, of each of them; 1 or more.
    memory : str
        Memory of each of them, with its unit ("4GiB").
    walltime : str
        Time of each of them ("24:00:00", or as the batch system writes it).
    queue : str or None
        Queue, or partition, that they go to; None for the site's default.
    lines : tuple of str
        Further directives for it ("--account=…").
    skip_failed : bool
        Go on without a batch of particles that fails wherever it is tried.

    Raises
    ------
    InputError
        A name, number or combination that makes no sense.
    """

    executor: str = "threads"
    scheduler: str | None = None
    workers: int = 1
    cores: int = 1
    memory: str = "4GiB"
    walltime: str = "24:00:00"
    queue: str | None = None
    lines: tuple[str, ...] = ()
    skip_failed: bool = False

    def __post_init__(self) -> None:
        if self.executor not in ("threads", "dask"):
            raise InputError(f"executor {self.executor!r} is unknown; choose threads or dask")
        if self.executor == "threads" and self.scheduler:
            raise InputError("a scheduler belongs to the executor dask; give --executor dask, too")
        if self.executor == "dask" and not self.scheduler:
            raise InputError(
                "the executor dask needs a scheduler: its address, such as tcp://10.0.0.1:8786, or "
                f"{', '.join(QUEUES)}"
            )
        if self.executor == "threads" and self.workers != 1:
            raise InputError("workers belong to the executor dask; give --executor dask, too")
        if self.workers < 1 or self.cores < 1:
            raise InputError(f"{self.workers} workers of {self.cores} cores; both must be at least 1")

    def open(self, threads: int, tell: Callable[[str], None]) -> Executor:
        """Find or start the workers.

        Raises
        ------
        InputError
            Dask is not installed, or the scheduler does not answer.
        """
        if self.executor == "threads":
            return Threads(threads, self.skip_failed, tell)
        for package in ("distributed", *(["dask_jobqueue"] if self.scheduler in QUEUES else [])):
            if find_spec(package) is None:
                raise InputError(f"{package} is not installed; install it with {INSTALL}")
        import dask
        from distributed import Client

        from boxwood.backends import use_simd
        from boxwood.execution.cluster import Cluster

        # The model is sent with every pass; Dask takes what is large for a mistake.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "4GiB"})
        started = self._start() if self.scheduler in QUEUES else None
        close = (lambda: None) if started is None else started.close
        security = None
        if started is None and str(self.scheduler).startswith("tls://"):
            from distributed import Security

            security = Security(require_encryption=True)
        try:
            client = Client(
                started or self.scheduler, timeout=_ANSWER, set_as_default=False, security=security
            )
        except (OSError, TimeoutError, ValueError, TypeError) as error:
            close()
            raise InputError(
                f"no scheduler answers at {self.scheduler} ({error}); start one with `dask scheduler`, or "
                f"give another address"
            ) from error
        return Cluster(
            client,
            threads,
            simd=simd_here(),
            use_simd=use_simd,
            probe=partial(bits_here, simd_here()),
            stop=stop_all,
            skip_failed=self.skip_failed,
            wait_s=_WORKER if started is None else _QUEUED,
            tell=tell,
            close=close,
        )

    def batch_jobs(self) -> Any:
        """What hands jobs to a batch system. They use this Python, and find the package where it does."""
        names = [name for name in ("PYTHONPATH", "BOXWOOD_SIMD") if name in os.environ]
        prologue = [f"export {name}='{os.environ[name]}'" for name in names]
        prologue.append("export DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False")  # it takes a tenth
        hours_and_minutes, _, seconds = self.walltime.rpartition(":")
        in_minutes = self.scheduler == "lsf" and ":" in hours_and_minutes and seconds == "00"
        return getattr(batch_systems(), QUEUES[str(self.scheduler)])(
            queue=self.queue,
            cores=self.cores,
            memory=self.memory,
            processes=1,
            walltime=hours_and_minutes if in_minutes else self.walltime,  # LSF knows no seconds
            python=sys.executable,
            job_name="boxwood",
            job_extra_directives=list(self.lines),
            job_script_prologue=prologue,
            worker_extra_args=["--no-dashboard"],
            scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        )

    def _start(self) -> Any:
        """The jobs of a batch system, handed to it."""
        cluster = self.batch_jobs()
        try:
            cluster.scale(jobs=self.workers)
        except BaseException as error:
            cluster.close()
            if isinstance(error, Exception):
                raise JobError(f"{self.scheduler} takes no jobs: {error}") from error
            raise
        return cluster


@contextmanager
def workers_of(settings: ClusterSettings | None, context: JobContext) -> Iterator[None]:
    """Let the workers that are asked for do the pieces of work of a job, and leave them in the end."""
    if settings is None:
        yield
        return
    executor = context.executor = settings.open(context.threads, context.log)
    if isinstance(executor, Threads):
        yield
        return
    stopped = True
    try:
        yield
        stopped = False
    finally:
        executor.close(stopped)  # type: ignore[attr-defined]


def cluster_status() -> str:
    """One line for people: the versions of Dask's packages, or how to get them."""
    found = []
    for package in ("distributed", "dask-jobqueue"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            return f"{package} is not installed; install it with {INSTALL}"
    return ", ".join(found)


def simd_here() -> str:
    """The instruction set of the kernels in this process."""
    from boxwood.backends import cpu_status

    return cpu_status()["chosen"][0]


def bits_here(simd: str) -> str:
    """What a process computes with, which decides the last bits of results.

    The kernels are set to `simd`, if they can be. What NumPy and its BLAS choose by the processor cannot be
    asked for in full, so the bits of some results stand for it.
    """
    import numpy as np

    from boxwood import __version__
    from boxwood.backends import get_backend, use_simd
    from boxwood.backends.trial import trial_arguments

    if not use_simd(simd):
        return f"boxwood {__version__} without {simd}"
    with one_blas_thread():
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 60, 60)) + 1j * rng.normal(size=(2, 60, 60))
        found = get_backend("cpu").expectation(**trial_arguments(), threads=1)
        results = (
            a @ b,
            a.real @ b.real,
            np.exp(a),
            np.log(np.abs(a)),
            np.sin(a.real),
            np.hypot(a.real, a.imag),
            np.fft.rfft2(a.real),
            np.fft.ifft(a),
            a.sum(axis=1),
            np.einsum("ij,jk->ik", a, b, optimize=True),
            found["numerator"],
            found["statistics"],
        )
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(value).tobytes() for value in results))
    return f"boxwood {__version__} ({simd}), numpy {np.__version__}, bits {digest.hexdigest()[:8]}"
