"""What a run of a job was made with, kept in `.boxwood.json` beside its options, for `boxwood rerun`."""

from __future__ import annotations

import platform
import socket
import time
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.options import Options

if TYPE_CHECKING:
    from boxwood.jobs.context import JobContext

LIBRARIES = ("numpy", "scipy", "pandas", "mrcfile", "starfile", "tifffile", "pillow", "matplotlib", "rich")


def libraries() -> dict[str, str]:
    """Versions of the libraries that results may depend on."""
    return {name: _version(name) for name in LIBRARIES}


def begun(given: Mapping[str, Any], threads: int) -> dict[str, Any]:
    """Describe a run that begins: when, on which machine, with what, and the options given for it."""
    import boxwood
    from boxwood.backends import cpu_status

    return {
        "began": _now(),
        "status": "Running",
        "version": boxwood.__version__,
        "given": dict(given),
        "threads": threads,
        "machine": {
            "name": socket.gethostname(),
            "system": f"{platform.system()} {platform.release()} {platform.machine()}",
            "processor": _processor(),
        },
        "simd": cpu_status()["chosen"][0],
        "python": platform.python_version(),
        "libraries": libraries(),
    }


def ended(status: str) -> dict[str, Any]:
    """What is added at its end."""
    return {"ended": _now(), "status": status}


def input_checksums(options: Options, context: JobContext) -> dict[str, dict[str, Any]]:
    """Checksums of the files that the options name (whole), and of those that these name (sampled, if large).

    A file that cannot be read is left out; the job has named it.
    """
    from boxwood.io.checksums import checksum

    named = set(_named(options))
    sums = {}
    for path in [*sorted(named), *sorted(context.used - named)]:
        if path.is_file():
            try:
                sums[path.as_posix()] = checksum(path, sampled=path not in named)
            except OSError:
                continue
    return sums


def _named(options: Options) -> Iterable[Path]:
    for declared in options.declared():
        value = getattr(options, declared.name)
        if value is not None:
            yield from (part for part in declared.kind.parts(value) if isinstance(part, Path))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
