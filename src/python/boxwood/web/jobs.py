"""What the page says of a job, and does to it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from boxwood.errors import BoxwoodError, InputError
from boxwood.jobs.from_form import job_of
from boxwood.jobs.job import Job
from boxwood.jobs.registry import JOBS, load_job
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_files import ABORT_NOW, FAILURE, SETTINGS, exit_status, is_at_work
from boxwood.project.job_form import JOB_STAR, RUN_JOB, JobForm
from boxwood.project.pipeline import PipelineJob
from boxwood.web.classes import iterations
from boxwood.web.inside import OutsideError
from boxwood.web.workspace import Workspace

PICTURES = (".png", ".svg", ".jpg")
# What boxwood's run.out says of progress every ten seconds.
_PROGRESS = re.compile(r"^(.*): ([\d.e+]+) of ([\d.e+]+)$")
_COMMAND = re.compile(
    r"^ \+\+\+\+ with the following command\(s\): ?\n(.*?)\n \+\+\+\+", re.MULTILINE | re.DOTALL
)
_TAIL = 4096
# Seconds in which a job makes its folder and opens its log.
_BEGINNING = 10.0


def status_of(project: ProjectFolder, job: PipelineJob) -> str:
    """The status now: a job that has ended says so by its marker before the books do."""
    if job.status == "Running":
        return exit_status(project.root / job.name) or job.status
    return job.status


def job_entry(project: ProjectFolder, job: PipelineJob) -> dict[str, Any]:
    """Return name, type, alias, status, times, inputs and outputs of a job.

    `begun` and `ended` are the ages of its form and of its log, in seconds since 1970; None if it has none.
    """
    folder = project.root / job.name
    return {
        "name": job.name.rstrip("/"),
        "type": job.name.partition("/")[0],
        "alias": job.alias.rstrip("/").rpartition("/")[2],
        "status": status_of(project, job),
        "begun": _time(folder / "job.star"),
        "ended": _time(folder / "run.out") or _time(folder / "job_pipeline.star"),
        "inputs": job.inputs,
        "outputs": job.outputs,
    }


def _time(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def job_now(workspace: Workspace, name: str) -> dict[str, Any]:
    """Status and progress of a job ("AutoPick/job001"), without reading the books if that can be avoided."""
    folder = workspace.root / name
    status = exit_status(folder)
    if status is None:
        status = workspace.project.job(name).status
    progress = progress_of(workspace, f"{name}/") if status == "Running" else None
    return {"status": status, "progress": progress, "lost": status == "Running" and _is_lost(folder)}


def _is_lost(folder: Path) -> bool:
    """Whether a job of ours has died without a word; one that has just begun has no log yet."""
    begun = _time(folder / SETTINGS)
    return begun is not None and time.time() - begun > _BEGINNING and not is_at_work(folder)


def mark_lost(workspace: Workspace, name: str) -> None:
    """Enter a job whose program has died as failed."""
    folder = workspace.root / name
    if not job_now(workspace, name.rstrip("/"))["lost"]:
        raise InputError(f"{name.rstrip('/')} is not lost: its program is at work, or has said how it ended")
    (folder / FAILURE).touch()
    with workspace.project.edit():
        pass  # which enters what the markers say


def progress_of(workspace: Workspace, name: str) -> dict[str, Any] | None:
    """How far a running job is ("AutoPick/job001/"), as it told the page or wrote into its log."""
    return workspace.runs.progress(name) or _logged_progress(workspace, name)


def _logged_progress(workspace: Workspace, name: str) -> dict[str, Any] | None:
    try:
        path = workspace.read(Path(name) / "run.out")
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except (OSError, OutsideError):  # the job's own page says which file leads out
        return None
    for line in reversed(lines):
        if found := _PROGRESS.match(line):
            return {"text": found[1], "done": float(found[2]), "total": float(found[3])}
    return None


def job_detail(workspace: Workspace, name: str) -> dict[str, Any]:
    """Return all that the page of a job shows, except the logs."""
    project = workspace.project
    job = project.job(name)
    folder = project.root / job.name
    users = [j.name.rstrip("/") for j in project.pipeline().jobs() if set(j.inputs) & set(job.outputs)]
    kind, values, why = asked_for(workspace, job.name)
    note = _text(workspace.read(f"{job.name}note.txt"))
    commands = _COMMAND.findall(note)
    pictures = sorted(path for path in folder.glob("*") if path.suffix in PICTURES)
    now = job_now(workspace, job.name.rstrip("/"))
    return {
        **job_entry(project, job),
        **now,
        "classes": now["status"] == "Running" or bool(iterations(workspace, job.name)),
        "kind": kind.name if kind else "",
        "why": why,
        "summary": JOBS[kind.name][1] if kind else "",
        "continues": bool(kind and (kind.keeps or kind.resumes) and (folder / SETTINGS).exists()),
        "settings": {n: _shown(v) for n, v in values.items() if v is not None},
        "command": commands[-1].strip() if commands else "",
        "users": users,
        "pictures": [f"{job.name}{path.name}" for path in pictures],
    }


def form_folder(workspace: Workspace, name: str) -> Path:
    """The folder of a job whose form is to be read.

    Raises
    ------
    OutsideError
        If a file that tells what the job was asked for leads out of the project.
    """
    for file in (SETTINGS, JOB_STAR, RUN_JOB):
        workspace.read(Path(name) / file)
    return workspace.root / name


def asked_for(workspace: Workspace, name: str) -> tuple[Job | None, dict[str, Any], str]:
    """Which of our jobs "AutoPick/job001/" is, with which options; else why it is none of ours."""
    try:
        folder = form_folder(workspace, name)
        settings = folder / SETTINGS
        if settings.exists():
            found = json.loads(settings.read_text(encoding="utf-8"))
            return load_job(found["job"]), dict(found["options"]), ""
        form = job_of(JobForm.read(folder))
        return form.job, form.values, ""
    except (BoxwoodError, OSError, ValueError, KeyError) as error:
        return None, {}, str(error)


def _shown(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def cancel(workspace: Workspace, name: str) -> None:
    """Ask a running job to stop, by the file that RELION's and our jobs look for."""
    project = workspace.project
    job = project.job(name)
    status = status_of(project, job)
    if status != "Running":
        raise InputError(f"{job.name.rstrip('/')} is not running, it is {status.lower()}")
    (project.root / job.name / ABORT_NOW).touch()
