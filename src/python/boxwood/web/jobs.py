"""What the page says of a job."""

from __future__ import annotations

from typing import Any

from boxwood.project.folder import ProjectFolder
from boxwood.project.job_files import exit_status
from boxwood.project.pipeline import PipelineJob


def status_of(project: ProjectFolder, job: PipelineJob) -> str:
    """The status now: a job that has ended says so by its marker before the books do."""
    if job.status == "Running":
        return exit_status(project.root / job.name) or job.status
    return job.status


def job_entry(project: ProjectFolder, job: PipelineJob) -> dict[str, Any]:
    """Return name, type, alias, status, times, inputs and outputs of a job.

    `ended` is when the job last wrote its log, in seconds since 1970; None if it has not begun.
    """
    folder = project.root / job.name
    times = [
        path.stat().st_mtime
        for name in ("run.out", "job_pipeline.star", "job.star")
        if (path := folder / name).exists()
    ]
    return {
        "name": job.name.rstrip("/"),
        "type": job.name.partition("/")[0],
        "alias": job.alias.rstrip("/").rpartition("/")[2],
        "status": status_of(project, job),
        "ended": max(times, default=None),
        "inputs": job.inputs,
        "outputs": job.outputs,
    }
