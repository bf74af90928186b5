"""Scheduled jobs, run in order, and again when new micrographs have come."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from boxwood.errors import InputError, JobAborted
from boxwood.jobs.from_form import job_of
from boxwood.jobs.job import JobResult
from boxwood.jobs.reporter import Reporter
from boxwood.jobs.runner import run_job
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_files import check_idle
from boxwood.project.job_form import JobForm
from boxwood.project.trash import clear

# RELION's pipeliner stops when somebody removes this file.
MARKER = "RUNNING_PIPELINER_{name}"
_LOOKS_PER_SECOND = 2


def run_schedule(
    jobs: Iterable[str],
    reporter: Reporter,
    *,
    name: str = "schedule1",
    repeat: int = 1,
    min_wait_minutes: float = 0.0,
    threads: int | None = None,
) -> None:
    """Run jobs of the project in the current folder, one after the other, `repeat` times.

    In the first round scheduled jobs are run, and finished ones go on. In later rounds jobs that take one
    micrograph after the other do the new ones; the others are done anew, and what they had made goes to the
    trash. Removing the file RUNNING_PIPELINER_NAME, by hand or in RELION's window, stops it all
    before the next job.

    Parameters
    ----------
    jobs : iterable of str
        "AutoPick/job006", aliases, or numbers.
    reporter : Reporter
    name : str
    repeat : int
    min_wait_minutes : float
        From the beginning of one round to the next, at least.
    threads : int, optional

    Raises
    ------
    InputError
        If there is no such job, or a schedule of this name is running.
    JobAborted
        If the file was removed.
    """
    project = ProjectFolder(say=lambda text: reporter.event("warning", text=text))
    names = [project.job(job).name for job in jobs]
    if not names or "/" in name:
        raise InputError("name the jobs to run, in their order, and the schedule without a slash")
    marker = Path(MARKER.format(name=name))
    try:
        marker.open("x").close()
    except FileExistsError:
        raise InputError(
            f"schedule {name} is running, because {marker.resolve()} is there; "
            "if it is not, remove that file; or give another --name"
        ) from None
    try:
        for turn in range(repeat):
            begun = time.monotonic()
            _say(reporter, name, f"schedule {name}: round {turn + 1} of {repeat}")
            for job in names:
                _look(marker)
                _say(reporter, name, f"executing {job}")
                _run(project, job, reporter, threads)
            while turn + 1 < repeat and time.monotonic() - begun < 60 * min_wait_minutes:
                _look(marker)
                time.sleep(1 / _LOOKS_PER_SECOND)
    finally:
        marker.unlink(missing_ok=True)


def _say(reporter: Reporter, name: str, text: str) -> None:
    """Tell the user, and the log that RELION's pipeliner keeps."""
    reporter.event("log", text=text)
    with open(f"pipeline_{name}.log", "a", encoding="utf-8") as log:
        log.write(f" + {time.ctime()}  {text}\n")


def _look(marker: Path) -> None:
    if not marker.exists():
        raise JobAborted(f"{marker.name} was removed, so no more jobs are run; those done are whole")


def _run(project: ProjectFolder, name: str, reporter: Reporter, threads: int | None) -> JobResult:
    """Run a scheduled job; go on with, or do anew, one that has run."""
    found = job_of(JobForm.read(project.root / name))
    check_idle(project.root / name, project.job(name).status)
    goes_on = not found.scheduled and found.job.keeps is not None
    if not found.scheduled and not goes_on:
        clear(project, name)
    return run_job(
        found.job,
        {} if goes_on else found.values,
        threads=threads,
        reporter=reporter,
        continue_from=name if goes_on else False,
        scheduled=None if goes_on else name,
    )
