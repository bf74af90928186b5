"""Repeat a job with what its folder records of it, and compare."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwood.errors import InputError
from boxwood.jobs.compare import differences, results_in
from boxwood.jobs.record import libraries
from boxwood.jobs.registry import load_job
from boxwood.jobs.reporter import Reporter, Silent
from boxwood.jobs.runner import run_job
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_files import SETTINGS, Kept
from boxwood.project.names import canonical


@dataclass(frozen=True)
class Repetition:
    """A job that was run again.

    Attributes
    ----------
    files : int
        Number of files compared.
    differences : dict of str to str
        How a file differs, by its name in the job's folder.
    output : Path or None
        Where the new files are; None if they were the same, and no folder was named for them.
    """

    files: int
    differences: dict[str, str]
    output: Path | None


def rerun_job(
    name: str | os.PathLike[str],
    *,
    project: str | os.PathLike[str] = ".",
    output: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    reporter: Reporter | None = None,
) -> Repetition:
    """Run a finished job again, with its options, in another folder, and compare every file of results.

    Instruction set and backend are the recorded ones where this machine has them. Whatever else is not as it
    was, such as an input, is a warning.

    Parameters
    ----------
    name : path
        A job of the project as `ProjectFolder.job` finds it, or the folder of files made with `--output`.
    project : path
        Its folder.
    output : path, optional
        Folder for the repetition, empty or new. Without it the new files are kept only if they differ.
    threads : int, optional
        Default: all processors.
    reporter : Reporter, optional
        Gets what `boxwood rerun` writes. Default: nobody.

    Returns
    -------
    Repetition

    Raises
    ------
    InputError
        Nothing is recorded there, or the job did not succeed.
    JobAborted, JobError
        As the job itself.
    """
    reporter, root = reporter or Silent(), Path(project)
    folder = _folder(name, root)
    kept = Kept.read(root / folder)
    run = kept.runs[-1] if kept and kept.runs else {}
    if not kept or not kept.succeeded:
        why = f"its last run is {run['status'].lower()}" if run else f"{folder}/{SETTINGS} records no run"
        raise InputError(f"{folder} cannot be repeated: {why}; it takes a job of boxwood that succeeded")
    job = load_job(kept.job)
    if job.not_repeated:
        raise InputError(f"{folder} cannot be repeated: {job.not_repeated}")
    if output is not None and (root / output).is_dir() and any((root / output).iterdir()):
        raise InputError(f"{output} is not empty; name a new folder for the repetition")
    for text in _changes(kept, root):
        reporter.event("warning", text=text)
    new = os.fspath(output) if output else Path(tempfile.mkdtemp(prefix="rerun_", dir=root)).name
    values = {**kept.options, **_backend(kept, reporter), **({"directory": new} if job.has_directory else {})}
    with _instruction_set(run.get("simd", ""), reporter):
        try:
            place = None if job.has_directory else new
            run_job(job, values, project=root, output=place, threads=threads, reporter=reporter)
        except BaseException:
            if output is None:
                shutil.rmtree(root / new, ignore_errors=True)
            raise
    names = results_in(root / new)
    if not job.has_directory:  # where the user says, there may be anything
        names |= results_in(root / folder)
    found = dict(differences(root / folder, root / new, (folder, new), sorted(names)))
    if output is None and not found:
        shutil.rmtree(root / new)
        return Repetition(len(names), found, None)
    return Repetition(len(names), found, Path(new))


def _folder(name: str | os.PathLike[str], root: Path) -> str:
    """The folder that is meant, as files name it."""
    if (root / name / SETTINGS).is_file() or not ProjectFolder(root).exists:
        return canonical(name, root).rstrip("/")
    return ProjectFolder(root).job(name).name.rstrip("/")


def _changes(kept: Kept, root: Path) -> Iterator[str]:
    """What is not as it was, one sentence each."""
    import boxwood
    from boxwood.io.checksums import changed

    run = kept.runs[-1]
    now = {"boxwood": boxwood.__version__, **libraries()}
    before = {"boxwood": run["version"], **run["libraries"]}
    other = [f"{name} {before[name]}" for name in now if name in before and before[name] != now[name]]
    if other:
        here = ", ".join(f"{name} {version}" for name, version in now.items())
        yield f"the job was made with {', '.join(other)}; here are {here}"
    given = sorted({name for later in kept.runs[1:] for name in later["given"]})
    if given:
        yield f"the job was continued with other {', '.join(given)}; it is repeated with the last options"
    for path, sums in run["inputs"].items():
        if how := changed(root / path, sums):
            yield f"{path} {how}: the repetition is not of the same input"


def _backend(kept: Kept, reporter: Reporter) -> dict[str, str]:
    """The option that names the backend which the job ran on, if it has one and that can be used here."""
    from boxwood.backends import get_backend

    used = kept.runs[-1].get("backends", [])
    if "backend" not in kept.options or not used:
        return {}
    if len(used) > 1:
        text = f"the job went from {' to '.join(used)}, as devices failed; the last bits may differ"
        reporter.event("warning", text=text)
    try:
        get_backend(used[0])
    except InputError as error:
        text = f"the job was made on {used[0]}, and here {error}; with another backend the last bits differ"
        reporter.event("warning", text=text)
        return {"backend": "auto"}
    return {"backend": used[0]}


@contextmanager
def _instruction_set(name: str, reporter: Reporter) -> Iterator[None]:
    """Use the instruction set called `name` in the block, if this processor has it."""
    from boxwood.backends import cpu_status, use_simd

    before = cpu_status()["chosen"][0]
    if name and not use_simd(name):
        text = f"the job was made with {name}, which does not run here; with {before} the last bits differ"
        reporter.event("warning", text=text)
    try:
        yield
    finally:
        use_simd(before)


def verdict(folder: str | os.PathLike[str], repetition: Repetition) -> Mapping[str, Any]:
    """The outcome as an event: `text` in words, and the numbers."""
    found = repetition.differences
    if not found:
        text = f"{folder}: all {repetition.files} files of results are the same"
    else:
        text = (
            f"{folder}: {len(found)} of {repetition.files} files of results differ; "
            f"the new ones are in {repetition.output}"
        )
    return {"text": text, "compared": repetition.files, "different": found}
