"""Run a job: check its options, keep its folder and bookkeeping, and say how it ended."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.reporter import Reporter, Silent
from boxwood.options import Options


def run_job(
    job: Job,
    options: Options,
    *,
    output: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    reporter: Reporter | None = None,
    continuing: bool = False,
) -> JobResult:
    """Run `job` in the folder `output`."""
    from boxwood.backends import available_threads

    check_inputs(options)
    context = JobContext(
        make_folder(output),
        threads=threads or available_threads(),
        reporter=reporter or Silent(),
        continuing=continuing,
    )
    try:
        return finish(job.run(options, context), context)
    finally:
        context.close()


def check_inputs(options: Options) -> None:
    """Refuse input files that are not there, before anything is made.

    Raises
    ------
    InputError
    """
    for declared in options.declared():
        value: Any = getattr(options, declared.name)
        if declared.input and value is not None:
            for path in declared.kind.parts(value):
                if not Path(path).exists():
                    raise InputError(f"{declared.name}: there is no file {path} (looked in {Path.cwd()})")


def make_folder(path: str | os.PathLike[str] | None) -> Path:
    """Create a folder for output, or say why that is impossible."""
    folder = Path(path or ".")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}; choose another") from error
    if not os.access(folder, os.W_OK):
        raise InputError(f"the folder {folder} cannot be written to; choose another with --output")
    return folder


def finish(result: JobResult, context: JobContext) -> JobResult:
    """Fill in what the framework knows."""
    return replace(result, output=context.output, bad=tuple(context.bad_inputs))
