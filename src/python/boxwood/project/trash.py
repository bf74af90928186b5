"""Cleaning and deleting jobs as RELION does: files move to Trash/, and a deleted job can come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from boxwood.errors import InputError
from boxwood.io.atomic import move
from boxwood.project.alias import link_alias
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_files import check_idle
from boxwood.project.names import is_called
from boxwood.project.pipeline import Pipeline, PipelineJob

TRASH = "Trash"
_ITERATION = "run*_it[0-9][0-9][0-9]_*"


def _older_iterations(folder: Path) -> list[Path]:
    files = sorted(folder.glob(_ITERATION))
    last = max((_iteration(path) for path in files), default=0)
    return [path for path in files if _iteration(path) < last]


def _iteration(path: Path) -> int:
    return int(path.name.split("_it", 1)[1][:3])


def _below(*patterns: str) -> Callable[[Path], list[Path]]:
    return lambda folder: sorted(path for pattern in patterns for path in folder.rglob(pattern))


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())


# What RELION 3.1 takes away of each type of job, gently; FOM maps of boxwood are MRC files.
_GENTLE: dict[str, Callable[[Path], list[Path]]] = {
    "AutoPick": _below("*.spi", "*_bestLoG.mrc", "*_bestSize.mrc"),
    "Extract": _below("*_extract.star"),
    "Class2D": _older_iterations,
    "ManualPick": lambda folder: [],
    "Select": lambda folder: [],
}
# And harshly: of Extract, the particles themselves.
_HARSH = {**_GENTLE, "Extract": _subfolders}


@dataclass(frozen=True)
class Move:
    """A file or folder that goes to the trash, or comes from it, by its name in the project."""

    path: Path
    size_bytes: int


def cleaning(project: ProjectFolder, jobs: Iterable[PipelineJob], harsh: bool = False) -> list[Move]:
    """What cleaning these jobs would move.

    Raises
    ------
    InputError
        If a job is not finished, or of a kind that boxwood does not clean.
    """
    moves = []
    for job in jobs:
        rules = _HARSH if harsh else _GENTLE
        kind = job.name.partition("/")[0]
        if kind not in rules:
            raise InputError(f"{job.name} is a job that only RELION knows; clean it in RELION")
        folder = project.root / job.name
        check_idle(folder, job.status)
        if job.status == "Scheduled":
            raise InputError(f"{job.name} is scheduled; only finished jobs are cleaned")
        moves += [_move(project, path) for path in rules[kind](folder)] if folder.is_dir() else []
    return moves


def deleting(project: ProjectFolder, jobs: Iterable[PipelineJob]) -> list[PipelineJob]:
    """These jobs and all that build on them, which are deleted with them.

    Raises
    ------
    InputError
        If one of them is running.
    """
    pipeline = project.pipeline()
    names = pipeline.dependents([job.name for job in jobs])
    found = [job for job in pipeline.jobs() if job.name in names]
    for job in found:
        check_idle(project.root / job.name, job.status)
    return found


def clean(project: ProjectFolder, moves: Iterable[Move]) -> None:
    """Move files of jobs to the trash."""
    throw_away(project, [move.path for move in moves])


def delete(project: ProjectFolder, jobs: Iterable[PipelineJob]) -> None:
    """Move jobs to the trash and take them out of the pipeline."""
    with project.edit() as pipeline:
        for job in jobs:
            folder = project.root / job.name
            if folder.is_dir():
                pipeline.only(job.name).write(folder / "job_pipeline.star")
                _merge_job(folder, project.root / TRASH / job.name)
            if job.alias:
                (project.root / job.alias.rstrip("/")).unlink(missing_ok=True)
            project.hide_job(job.name, job.alias)
        pipeline.remove([job.name for job in jobs])


def clear(project: ProjectFolder, name: str) -> None:
    """Move all that is in a job's folder to the trash, to do the job anew."""
    throw_away(project, [Path(name, path.name) for path in (project.root / name).iterdir()])


def throw_away(project: ProjectFolder, paths: Iterable[Path]) -> None:
    """Move files and folders, by their names in the project, to the trash."""
    for path in paths:
        _merge(project.root / path, project.root / TRASH / path)


def trashed(project: ProjectFolder) -> list[str]:
    """Deleted jobs that can come back."""
    files = sorted((project.root / TRASH).glob("*/job*/job_pipeline.star"))
    return [f"{path.parent.parent.name}/{path.parent.name}/" for path in files]


def find_trashed(project: ProjectFolder, name: str) -> str:
    """The deleted job "Extract/job002/" that a name, a number or an alias means; any other name unchanged."""
    given = name.rstrip("/") + "/"
    for job in trashed(project):
        process = Pipeline.read(project.root / TRASH / job / "job_pipeline.star").process(job) or {}
        if is_called(job, name) or given == process.get("rlnPipeLineProcessAlias"):
            return job
    return given


def restore(project: ProjectFolder, name: str) -> None:
    """Bring a deleted job back, with what was cleaned away of it before.

    Raises
    ------
    InputError
        If there is no such job in the trash, or its folder is in use again.
    """
    folder = project.root / TRASH / name
    if name not in trashed(project):
        known = ", ".join(trashed(project)) or "none"
        raise InputError(f"there is no {name} in {project.root / TRASH}; jobs that can come back: {known}")
    if (project.root / name).exists():
        raise InputError(f"{project.root / name} exists; move it away to bring the old {name} back")
    with project.edit() as pipeline:
        part = Pipeline.read(folder / "job_pipeline.star")
        folder_now = project.root / name
        move(folder, folder_now)
        pipeline.absorb(part)
        pipeline.counter = max(pipeline.counter, int(name.rstrip("/").rpartition("job")[2]) + 1)
        (job,) = part.jobs()
        if job.alias:
            link_alias(job.alias, name, project.root)
        for node in job.outputs:
            project.show_node(pipeline, node, job.alias)


def _move(project: ProjectFolder, path: Path) -> Move:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return Move(path.relative_to(project.root), sum(file.stat().st_size for file in files))


def _merge(source: Path, target: Path) -> None:
    """Move; into a folder that is there already, file by file, the newer one staying."""
    if source.is_dir() and not source.is_symlink() and target.is_dir():
        _merge_contents(source, target)
        source.rmdir()
        return
    if target.is_dir() and not target.is_symlink():  # a file or link was a folder before
        numbered = (target.with_name(f"{target.name}.{number}") for number in count(1))
        target.rename(next(path for path in numbered if not path.exists()))
    move(source, target)


def _merge_contents(source: Path, target: Path) -> None:
    for path in list(source.iterdir()):
        _merge(path, target / path.name)


def _merge_job(folder: Path, target: Path) -> None:
    """Move a job, whose folder may be a link; one that joins what was cleaned of it stops being one."""
    if folder.is_symlink() and target.is_dir() and not folder.samefile(target):
        _merge_contents(folder, target)
        folder.unlink()
    else:
        _merge(folder, target)
