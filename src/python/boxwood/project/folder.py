"""A RELION project: the folder with default_pipeline.star, and its jobs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from boxwood.errors import InputError
from boxwood.io.atomic import remove_unfinished, writing
from boxwood.project import job_files
from boxwood.project.alias import check_alias, link_alias
from boxwood.project.job_form import JobType, write_forms
from boxwood.project.lock import pipeline_lock
from boxwood.project.names import below_job, canonical, is_called, job_folder
from boxwood.project.pipeline import Pipeline, PipelineJob

PIPELINE = "default_pipeline.star"


class ProjectFolder:
    """Keeps the books of a RELION project; the jobs themselves are run elsewhere.

    The pipeline file is read again for every change, with RELION's lock held, so that RELION and
    boxwood may both work in a project; `say` is told when that takes long.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] = ".",
        lock_patience_seconds: float = 120.0,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.root = Path(root)
        self.patience = lock_patience_seconds
        self.say = say
        if self.root.exists() and not self.root.is_dir():
            raise InputError(f"{self.root} is a file, not a project folder")

    @property
    def exists(self) -> bool:
        """Whether there is a pipeline file already."""
        return (self.root / PIPELINE).exists()

    def pipeline(self) -> Pipeline:
        """Read the pipeline; a new project speaks RELION 3.1."""
        return Pipeline.read(self.root / PIPELINE) if self.exists else Pipeline()

    def job(self, name: str | os.PathLike[str]) -> PipelineJob:
        """Find a job by "Extract/job002", an alias, "job002", "2", or a file in its folder.

        Raises
        ------
        InputError
        """
        text = str(name).rstrip("/")
        folder = job_folder(text, self.root) or text + "/"
        jobs = self.pipeline().jobs()
        for job in jobs:
            if is_called(job.name, text) or folder in (job.name, job.alias):
                return job
        known = ", ".join(job.name.rstrip("/") for job in jobs) or "none"
        raise InputError(f"{name} is no job of the project in {self.root.resolve()}; its jobs: {known}")

    def file_of(self, path: str | os.PathLike[str], kind: str) -> str | None:
        """Return the file of one kind that a job folder stands for, made or yet to be made.

        None for a folder that stands for no file; the path of a file unchanged.
        """
        job = job_folder(path, self.root)
        if not (self.root / path).is_dir() and canonical(path, self.root) != job:
            return str(path)
        return next(iter(self.pipeline().outputs_of(job, kind)), None) if job else None

    def start_job(
        self,
        kind: JobType,
        *,
        joboptions: Mapping[str, str],
        inputs: Iterable[tuple[str, str]],
        outputs: Iterable[tuple[str, str]] = (),
        alias: str | None = None,
        status: str = "Running",
        prepare: Callable[[Path], None] | None = None,
    ) -> str:
        """Make the next job folder, enter it as running or scheduled, and return its name "Type/jobNNN/".

        `outputs` are files in its folder that the job will make, and their kinds. `prepare` writes files into
        the folder before the job is in the books.
        """
        made: list[Path] = []
        try:
            with self.edit() as pipeline:
                full_alias = check_alias(alias, kind.folder, self.root, pipeline.aliases()) if alias else None
                number = pipeline.counter
                while (self.root / (name := f"{kind.folder}/job{number:03d}/")).exists():
                    number += 1
                with writing(name):
                    (self.root / name).mkdir(parents=True)
                made.append(self.root / name)
                if prepare:
                    prepare(self.root / name)
                pipeline.counter = number + 1
                pipeline.add_process(name, kind.number, kind.label, status)
                if full_alias:
                    link_alias(full_alias, name, self.root)
                    made.append(self.root / full_alias.rstrip("/"))
                    pipeline.set_alias(name, full_alias)
                self._add_outputs(pipeline, name, [(name + file, node_kind) for file, node_kind in outputs])
                self._enter(pipeline, name, kind, joboptions, inputs, continuing=False)
        except BaseException:
            if made and self.pipeline().process(name):  # interrupted just after it was entered
                self.abandon_job(name)
                raise
            for path in made:  # what is not in the books is not there
                path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
            raise
        return name

    def abandon_job(self, name: str) -> None:
        """Mark a job that was stopped before it had begun; whoever opens the books next enters it."""
        (self.root / name / job_files.ABORTED).touch()

    def restart_job(
        self,
        name: str,
        kind: JobType,
        *,
        joboptions: Mapping[str, str],
        inputs: Iterable[tuple[str, str]],
        continuing: bool = True,
    ) -> str:
        """Enter an existing job as running, again or for the first time, and return what it was before."""
        with self.edit() as pipeline:
            job = next((job for job in pipeline.jobs() if job.name == name), None)
            if job is None:
                raise InputError(f"{name} is no job of the project in {self.root.resolve()}")
            job_files.refuse_relions(self.root / name, job.status)
            job_files.clear_markers(self.root / name)
            pipeline.set_status(name, "Running")
            self._enter(pipeline, name, kind, joboptions, inputs, continuing)
        return job.status

    def end_job(
        self,
        name: str,
        status: str,
        inputs: Iterable[tuple[str, str]] = (),
        outputs: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Enter how a job ended and which files it made, and leave RELION's marker in its folder."""
        folder = self.root / name
        (folder / job_files.ABORT_NOW).unlink(missing_ok=True)
        with ExitStack() as last, self.edit() as pipeline:
            # After the books, which would else believe the marker of a killed job whose outputs they lack.
            last.callback(self._mark, folder / job_files.MARKERS[status])
            pipeline.set_status(name, status)
            self._add_inputs(pipeline, name, inputs)
            self._add_outputs(pipeline, name, outputs)
            pipeline.only(name).write(folder / "job_pipeline.star")
            pipeline.write(folder / PIPELINE)

    def _mark(self, marker: Path) -> None:
        with writing(marker):
            marker.touch()

    def _enter(
        self,
        pipeline: Pipeline,
        name: str,
        kind: JobType,
        joboptions: Mapping[str, str],
        inputs: Iterable[tuple[str, str]],
        continuing: bool,
    ) -> None:
        self._add_inputs(pipeline, name, inputs)
        write_forms(self.root, name, kind, joboptions, relion=pipeline.relion, continuing=continuing)
        pipeline.only(name).write(self.root / name / "job_pipeline.star")

    def _add_inputs(self, pipeline: Pipeline, name: str, inputs: Iterable[tuple[str, str]]) -> None:
        for path, kind in inputs:
            node = canonical(path, self.root)
            if pipeline.add_input(name, node, kind):
                self.show_node(pipeline, node)

    def _add_outputs(self, pipeline: Pipeline, name: str, outputs: Iterable[tuple[str, str]]) -> None:
        alias = str((pipeline.process(name) or {}).get("rlnPipeLineProcessAlias", "None"))
        for path, kind in outputs:
            node = canonical(path, self.root)
            if pipeline.add_output(name, node, kind):
                self.show_node(pipeline, node, "" if alias == "None" else alias)

    def show_node(self, pipeline: Pipeline, node: str, alias: str = "") -> None:
        """Leave the empty file by which RELION's file browser finds nodes of one type."""
        folder = job_folder(node) or ""
        kind = str(pipeline.type_of(node)).split(".")[0]
        below = below_job(node).as_posix()  # inside the project, wherever the file is
        path = self.root / ".Nodes" / kind / (alias or folder) / below
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    def rename_job(self, name: str, alias: str) -> str:
        """Give a job another alias, or with "" none; return it as "Type/alias/".

        Raises
        ------
        InputError
            If RELION's rules forbid it, or another job has it.
        """
        with self.edit() as pipeline:
            job = next(job for job in pipeline.jobs() if job.name == name)
            if alias and f"{name.partition('/')[0]}/{alias}/" == job.alias:
                return job.alias
            folder = name.partition("/")[0]
            full = check_alias(alias, folder, self.root, pipeline.aliases()) if alias else ""
            self.hide_job(name, job.alias)
            link = self.root / job.alias.rstrip("/")
            if job.alias and link.is_symlink():
                link.unlink()
            if full:
                link_alias(full, name, self.root)
            pipeline.set_alias(name, full or "None")
            for node in job.outputs:
                self.show_node(pipeline, node, full)
            pipeline.only(name).write(self.root / name / "job_pipeline.star")
        return full

    def hide_job(self, name: str, alias: str = "") -> None:
        """Remove these files of a job's nodes."""
        for kind in (self.root / ".Nodes").glob("*"):
            for folder in (name, alias):
                if folder and (kind / folder).is_dir():
                    shutil.rmtree(kind / folder)

    @contextmanager
    def edit(self) -> Iterator[Pipeline]:
        """Read, change and write the pipeline with RELION's lock held; nothing is written on an error."""
        with pipeline_lock(self.root, self.patience, self.say):
            remove_unfinished(self.root.glob(".*default_pipeline.star.*.tmp"))
            remove_unfinished(self.root.glob("..gui_*.tmp"))
            pipeline = self.pipeline()
            for name in pipeline.running():  # as RELION does: jobs say by a marker that they have ended
                status = job_files.exit_status(self.root / name)
                if status:
                    pipeline.set_status(name, status)
            yield pipeline
            pipeline.write(self.root / PIPELINE)
            with suppress(OSError):
                (self.root / ".pipeline_has_changed").touch()
