"""What a job is, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.options import Options

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.jobs.context import JobContext


@dataclass(frozen=True)
class JobResult:
    """What a job made.

    Attributes
    ----------
    files : dict
        Path of each file the job is asked for, by what it is ("particles", "class_averages", ...).
    tables : dict
        The same as pandas tables.
    values : dict
        Numbers worth knowing ("picks": 1158).
    summary : str
        One sentence.
    output : Path
        The job's folder; filled in by the framework.
    bad : tuple of (name, reason)
        Inputs that could not be used; filled in by the framework.
    """

    files: dict[str, Path] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    summary: str = ""
    output: Path = Path()
    bad: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Job:
    """A kind of job.

    Attributes
    ----------
    name : str
        The command; with underscores, the method of `Project`.
    options : type
        A subclass of `Options`.
    run : callable
        ``run(options, context) -> JobResult``.
    folder : str
        RELION's folder of such jobs ("AutoPick").
    process : int
        RELION 3's number of the job type: AutoPick 4, Extract 5, Select 7, Class2D 8. None for what is
        no RELION job: it gets no job folder, its `context.output` is the current folder or `--output`,
        and it may run other jobs with `context.run`.
    label : str or callable
        RELION 4/5's label ("relion.autopick.log"); a callable finds it from the options.
    joboptions : dict
        What RELION's form is to say where no option of ours sets it ("do_log": "Yes"); the other fields
        are as RELION has them at first.
    of_relion : dict
        Options that RELION's form has no field for, as RELION has them where they mean something.
    has_directory : bool
        Its options name the folder of its files, so that there is no `--output`.
    occupied : callable, optional
        ``occupied(options)`` names what is there already and such a job is not to replace; None if nothing
        is.
    keeps : callable, optional
        ``keeps(options)`` names the options that must stay the same when the job is continued, because its
        finished files would not be what the options say. Without it the job itself takes care.
    resumes : callable, optional
        ``resumes(folder)`` names the file in its folder that such a job goes on from; None if there is none.
    resume_field : str
        The joboption for that file.
    makes : callable, optional
        ``makes(options, dialect)`` names the files in its folder that a job hands on, with their kinds
        (`boxwood.project.nodes.NODE_KINDS`), before it has run. Jobs that can tell only when they have
        run use `JobContext.add_output`, which counts then.
    not_on_workers : callable, optional
        ``not_on_workers(options)`` says what of it the workers of a cluster do not do, though they do the
        rest; empty if they do all that takes long. Without it they do nothing, and a cluster is refused.
    not_repeated : str
        Why `rerun` cannot repeat it; empty if it can.
    """

    name: str
    options: type[Options]
    run: Callable[[Any, JobContext], JobResult]
    folder: str = ""
    process: int | None = None
    of_relion: Mapping[str, str] = field(default_factory=dict)
    label: str | Callable[[Any], str] = ""
    joboptions: Mapping[str, str] = field(default_factory=dict)
    has_directory: bool = False
    occupied: Callable[[Any], Path | None] | None = None
    keeps: Callable[[Any], Collection[str]] | None = None
    resumes: Callable[[Path], Path | None] | None = None
    resume_field: str = ""
    makes: Callable[[Any, str], Mapping[str, str]] | None = None
    not_on_workers: Callable[[Any], str] | None = None
    not_repeated: str = ""

    def outputs(self, options: Options, dialect: str) -> dict[str, str]:
        """Files in the job's folder that it will make for other jobs, and their kinds, as far as is known."""
        return dict(self.makes(options, dialect)) if self.makes else {}

    def type_label(self, options: Options) -> str:
        return self.label if isinstance(self.label, str) else self.label(options)
