"""Measure a job over several micrographs beside the disk's own speed."""

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

# Micrographs of the smaller job.
FEW = 5


def evict(paths: list[Path]) -> None:
    """Have the system forget what it cached of these files, so that they come from disk again."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def read(paths: list[Path]) -> None:
    """Read the bytes and do nothing with them."""
    buffer = bytearray(1 << 20)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


class Seconds(NamedTuple):
    """By the clock, and of CPU time."""

    wall: float
    cpu: float


def seconds(work: Callable[[], Any]) -> Seconds:
    """What a call takes."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Seconds(time.perf_counter() - wall, cpu)


def job_seconds(name: str, folder: Path, table: str, options: dict[str, Any], threads: int) -> Seconds:
    """Of a job on the micrographs of a STAR file."""
    options = {"micrographs": table, **options}
    with tempfile.TemporaryDirectory(dir=folder) as output:
        return seconds(
            lambda: run_job(load_job(name), options, project=folder, output=output, threads=threads)
        )


def report(name: str, folder: Path, micrographs: list[Path], options: dict[str, Any]) -> None:
    """Print micrographs a second of a job, from disk and from memory, and of reading the bytes alone.

    What a job needs once is taken off: figures are the difference between a job on `few.star`, the first FEW
    micrographs, and one on `all.star`, both in `folder`.
    """
    n, size = len(micrographs), sum(path.stat().st_size for path in micrographs) / len(micrographs)
    print(f"job {name}, micrographs of {size / 1e6:.0f} MB, a second:")
    job_seconds(name, folder, "few.star", options, 2)  # modules are imported, compiled code is loaded
    for place in ("disk", "memory"):

        def prepare(place: str = place) -> None:
            evict(micrographs) if place == "disk" else read(micrographs)

        prepare()
        rate = n / seconds(lambda: read(micrographs)).wall
        print(f"  bytes alone, from {place:6s} {rate:8.2f} by the clock ({rate * size / 1e6:.0f} MB/s)")
        for threads in (1, 2):
            prepare()
            few = job_seconds(name, folder, "few.star", options, threads)
            prepare()
            whole = job_seconds(name, folder, "all.star", options, threads)
            wall, cpu = whole.wall - few.wall, whole.cpu - few.cpu
            print(
                f"  {threads} threads, from {place:6s}   {(n - FEW) / wall:8.2f} by the clock, "
                f"{(n - FEW) / cpu:6.2f} of CPU time, {few.cpu:.1f} s for the first {FEW}"
            )
