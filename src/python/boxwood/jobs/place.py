"""Where a job's files go: a folder of the user's choice, or the next job folder of a RELION project."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TextIO

from boxwood.errors import InputError, JobError
from boxwood.io.atomic import atomic_write, remove_unfinished
from boxwood.jobs.context import JobContext, remove
from boxwood.jobs.job import Job
from boxwood.jobs.reporter import PlainLines, Reporter, Silent
from boxwood.options import Options
from boxwood.options.arguments import as_command
from boxwood.options.joboptions import joboptions
from boxwood.project import job_files
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_form import JobType
from boxwood.project.names import canonical, job_folder
from boxwood.project.trash import TRASH, throw_away


class Place(Protocol):
    """The folder of one run of a job, and the books kept about it; `given` if the user named the folder."""

    dialect: str
    log: Reporter
    given: bool

    @property
    def folder(self) -> Path:
        """Where the files go; known once the job was started."""

    def start(self, options: Options, threads: int) -> None:
        """Make the folder, or refuse it; in a project, enter the job as running."""

    def finished(self, kept: job_files.Kept) -> bool:
        """Whether the run before this one, of which `kept` was kept, came to its end."""

    def abandon(self) -> None:
        """Leave word that the job was stopped before it had begun."""

    def open_log(self, options: Options) -> Reporter:
        """Note what is run, and return who writes down what it says."""

    def keep(self, options: Options, runs: Sequence[dict[str, Any]]) -> None:
        """Keep the options and what the runs were made with."""

    def refuse(self) -> str:
        """Put back what a continued job was before, and return its status; "Failed" for a new one."""

    def end(self, status: str, context: JobContext) -> None:
        """Enter how the job ended and what it made."""

    def put_away(self, files: Iterable[Path]) -> str:
        """Get files that have become meaningless out of the way, and return where they are now."""

    def how_to_continue(self, options: Options) -> str:
        """Return the command that goes on with the job."""


class PlainFolder:
    """A folder that gets just the files; the current folder for what is no RELION job."""

    def __init__(self, job: Job, folder: str | os.PathLike[str] | None) -> None:
        self.job = job
        self.given = folder is not None
        self.folder = Path(folder or ".")
        self.log: Reporter = Silent()
        project = ProjectFolder()
        self.dialect = project.pipeline().dialect if project.exists else "3.1"

    def start(self, options: Options, threads: int) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the folder {self.folder.absolute()} cannot be made ({error.strerror}); choose another"
            ) from error
        if not os.access(self.folder, os.W_OK):
            raise InputError(f"the folder {self.folder.absolute()} cannot be written to; choose another")
        (self.folder / job_files.ABORT_NOW).unlink(missing_ok=True)
        own = self.books(options)
        if own is not None:
            remove_unfinished(own.rglob(".*.tmp"))

    def finished(self, kept: job_files.Kept) -> bool:
        return kept.succeeded

    def books(self, options: Options) -> Path | None:
        """The folder of the job's own, if it has one."""
        if self.job.has_directory:
            return Path(options.as_dict()["directory"])
        return self.folder if self.given or self.job.process is not None else None

    def abandon(self) -> None:
        pass

    def open_log(self, options: Options) -> Reporter:
        return self.log

    def keep(self, options: Options, runs: Sequence[dict[str, Any]]) -> None:
        folder = self.books(options)
        if folder is not None and folder.is_dir():
            job_files.Kept(self.job.name, options.as_dict(), runs).write(folder)

    def refuse(self) -> str:
        return "Failed"

    def put_away(self, files: Iterable[Path]) -> str:
        return remove(files)

    def end(self, status: str, context: JobContext) -> None:
        (self.folder / job_files.ABORT_NOW).unlink(missing_ok=True)

    def how_to_continue(self, options: Options) -> str:
        words = as_command(options)
        if self.given:
            words += ["--output", str(self.folder)]
        if self.job.process is not None:
            words.append("--continue")
        return shlex.join(["boxwood", self.job.name, *words])


class _Log(PlainLines):
    """run.out and run.err: the user hears the same, so a full disk is no reason to stop."""

    def event(self, kind: str, **data: Any) -> None:
        with suppress(OSError):
            super().event(kind, **data)


class ProjectJob:
    """The next "Type/jobNNN/" of the RELION project in the current folder, or an earlier one continued."""

    def __init__(
        self,
        job: Job,
        reporter: Reporter,
        *,
        alias: str | None = None,
        earlier: str | None = None,
        resumed: Path | None = None,
        scheduled: str | None = None,
    ) -> None:
        self.job = job
        self.alias = alias
        self.name = earlier or scheduled or ""
        self.continuing = earlier is not None
        self.resumed = resumed
        self.reporter = reporter
        self.project = ProjectFolder(say=lambda text: reporter.event("warning", text=text))
        self.dialect = self.project.pipeline().dialect
        self.files = ExitStack()
        self.out: TextIO | None = None
        self.log: Reporter = Silent()
        self.given = False
        self.status_before = ""
        self.before: tuple[str, dict[Path, bytes]] = ("Failed", {})

    @property
    def folder(self) -> Path:
        return Path(self.name)

    def start(self, options: Options, threads: int) -> None:
        kind, fields, inputs = self._entry(options, threads)
        if not self.name:
            begins = not self.project.exists
            # Should the process be killed now, the job can be continued.
            kept = job_files.Kept(self.job.name, options.as_dict())
            self.name = self.project.start_job(
                kind, joboptions=fields, inputs=inputs, alias=self.alias, prepare=kept.write
            )
            if begins:
                self.reporter.event("log", text=f"a new project begins in {Path.cwd()}")
            return
        with ExitStack() as files:
            self.out = files.enter_context(job_files.claim_log(self.folder))
            remove_unfinished(self.folder.rglob(".*.tmp"))
            if self.continuing:
                books = [self.folder / name for name in ("job.star", job_files.SETTINGS)]
                status = job_files.exit_status(self.folder) or "Failed"
                self.before = (status, {path: path.read_bytes() for path in books if path.exists()})
            self.status_before = self.project.restart_job(
                self.name, kind, joboptions=fields, inputs=inputs, continuing=self.continuing
            )
            self.files = files.pop_all()

    def finished(self, kept: job_files.Kept) -> bool:
        return self.status_before == "Succeeded"  # what was kept is older than that, if the run was killed

    def abandon(self) -> None:
        if self.name:
            self.project.abandon_job(self.name)

    def schedule(self, options: Options, threads: int) -> None:
        """Make the folder of a job that is to run later.

        Raises
        ------
        InputError
            A job folder among the inputs stands for no file, so the job could never run.
        """
        for name, path, wanted in input_files(options):
            if self.project.file_of(path, wanted) is None and job_folder(path):
                text = f"{name}: {path} is no job that makes {wanted.replace('_', ' ')}"
                raise InputError(f"{text}; schedule that first, or name a file")
        kind, fields, inputs = self._entry(options, threads)
        self.name = self.project.start_job(
            kind,
            joboptions=fields,
            inputs=inputs,
            outputs=self.job.outputs(options, self.dialect).items(),
            alias=self.alias,
            status="Scheduled",
        )
        self.keep(self._with_files(options), ())

    def _entry(self, options: Options, threads: int) -> tuple[JobType, dict[str, str], list[tuple[str, str]]]:
        """What is entered in the books: the kind of job, RELION's form, and the files it reads."""
        assert self.job.process is not None
        kind = JobType(self.job.folder, self.job.process, self.job.type_label(options))
        recorded = self._with_files(options)
        generation = self.project.pipeline().generation
        running = {"do_queue": "No", "other_args": "", "nr_threads": str(threads)}
        resumed = {} if self.resumed is None else {self.job.resume_field: canonical(self.resumed)}
        fields = {**running, **self.job.joboptions, **joboptions(recorded, generation), **resumed}
        inputs = [
            (str(path), kind) for _, path, kind in input_files(recorded) if self.project.file_of(path, kind)
        ]
        return kind, fields, inputs

    def open_log(self, options: Options) -> Reporter:
        out = self.out or self.files.enter_context(job_files.claim_log(self.folder))
        err = self.files.enter_context(job_files.open_log(self.folder / "run.err"))
        self.log = _Log(out, err, traces=True)
        command = ["boxwood", self.job.name, *as_command(options)]
        if self.continuing:
            command += ["--continue", self.name]
        job_files.append_note(self.folder, [shlex.join(command)])
        return self.log

    def keep(self, options: Options, runs: Sequence[dict[str, Any]]) -> None:
        job_files.Kept(self.job.name, options.as_dict(), runs).write(self.folder)

    def refuse(self) -> str:
        status, books = self.before
        for path, content in books.items():
            with atomic_write(path) as file:
                file.write(content)
        return status

    def put_away(self, files: Iterable[Path]) -> str:
        throw_away(self.project, files)
        return f"are in {TRASH}/"

    def _with_files(self, options: Options) -> Options:
        """Replace job folders among the inputs by the files they stand for, as RELION's forms have them."""
        files = {
            declared.name: file
            for declared in options.declared()
            if declared.input and isinstance(path := getattr(options, declared.name), Path)
            if (file := self.project.file_of(path, declared.input))
        }
        return replace(options, **files)  # type: ignore[type-var]

    def end(self, status: str, context: JobContext) -> None:
        with suppress(OSError):  # what a full disk has no room for has been said to the user, too
            self.files.close()
        outputs = [(path, kind) for path, kind in context.outputs if Path(path).exists()]
        self.project.end_job(self.name, status, inputs=context.inputs, outputs=outputs)

    def how_to_continue(self, options: Options) -> str:
        return shlex.join(["boxwood", self.job.name, "--continue", self.name])


def input_files(options: Options) -> Iterator[tuple[str, Path, str]]:
    """The files that options name: option, path, and the kind that it asks for."""
    for declared in options.declared():
        value = getattr(options, declared.name)
        if declared.input and value is not None:
            for path in declared.kind.parts(value):
                yield declared.name, Path(path), declared.input


def check_outputs(context: JobContext) -> None:
    """Make sure that what a job says it made is there, as RELION does.

    Raises
    ------
    JobError
    """
    missing = [path for path, _ in context.outputs if not Path(path).exists()]
    if missing:
        raise JobError(f"{', '.join(missing)} should have been written but is not there")
