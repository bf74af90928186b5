"""The project as a Python object, with every job as a method."""

from __future__ import annotations

import inspect
import keyword
import os
from pathlib import Path
from typing import Any

from boxwood.jobs.cluster import ClusterSettings
from boxwood.jobs.job import JobResult
from boxwood.jobs.registry import JOBS, load_job
from boxwood.jobs.reporter import Reporter
from boxwood.jobs.runner import run_job


class Project:
    """A RELION project folder; every job is a method.

    >>> project = Project("my_project")                                             # doctest: +SKIP
    >>> picks = project.autopick(micrographs="CtfFind/job003/micrographs_ctf.star",
    ...                          min_diameter=150, max_diameter=180)                # doctest: +SKIP
    >>> picks.files["coordinates"], picks.tables["summary"]                         # doctest: +SKIP

    Parameters
    ----------
    path : path
        Begun as a RELION 3.1 project by the first job, if there is none.
    threads : int, optional
        Default: the processors this process may use.
    reporter : Reporter, optional
        Who hears about progress (see `boxwood.jobs.reporter`); default nobody.

    Notes
    -----
    Names of files are relative to the project's folder, as in RELION, and a job changes into that folder
    while it runs: run jobs of several projects in several processes, not threads. What a job returns are
    paths from where the caller is, and can be given to the next job as they are: a `pathlib.Path` that begins
    with the project's own path is taken for one.

    Every job is a method: `autopick`, `extract`, `class2d`, ..., with the options of the command line as
    keyword arguments (docs/jobs.md, or `help(project.autopick)`), besides the arguments of `job`. Each
    returns a `JobResult`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ".",
        *,
        threads: int | None = None,
        reporter: Reporter | None = None,
    ) -> None:
        self.path = Path(path)
        self.threads = threads
        self.reporter = reporter

    def job(
        self,
        name: str,
        *,
        output: str | os.PathLike[str] | None = None,
        alias: str | None = None,
        threads: int | None = None,
        cluster: ClusterSettings | None = None,
        continue_from: str | os.PathLike[str] | bool = False,
        **options: Any,
    ) -> JobResult:
        """Run the job called `name`, the project's next one.

        Parameters
        ----------
        name : str
            The command: "autopick", "select-classes".
        output : path, optional
            Write just the files of the job into this folder, without the books of a project.
        alias : str, optional
            A second name of the job, and a link beside its folder.
        threads : int, optional
            Default: the project's.
        cluster : ClusterSettings, optional
            Workers that do the pieces of work (docs/scale.md).
        continue_from : path or bool
            Go on in this job ("AutoPick/job006", or one of its files), or with True in `output`.
        **options
            Those of the job, checked as on the command line.

        Returns
        -------
        JobResult

        Raises
        ------
        InputError
            If options or input files are wrong.
        JobAborted
            On Ctrl-C or `RELION_JOB_ABORT_NOW`; the text says how to go on.
        JobError
            If the job could not go on: a full disk, or none of the inputs could be used.
        """
        return run_job(
            load_job(name),
            {key: self._named_here(value) for key, value in options.items()},
            project=self.path,
            output=output,
            alias=alias,
            threads=threads or self.threads,
            cluster=cluster,
            reporter=self.reporter,
            continue_from=continue_from,
        )

    def _named_here(self, value: Any) -> Any:
        """A path that a job has returned, as the project names that file; anything else as it is."""
        if isinstance(value, Path) and value.is_relative_to(self.path):
            return value.relative_to(self.path)
        if isinstance(value, list | tuple):
            return type(value)(self._named_here(part) for part in value)
        return value

    def __getattr__(self, name: str) -> Any:
        methods = _methods()
        if name not in methods:
            raise AttributeError(
                f"{type(self).__name__} has no attribute {name!r}; its jobs are {', '.join(methods)}"
            )
        return _method(self, methods[name], name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *_methods()]

    def __repr__(self) -> str:
        return f"Project({str(self.path)!r})"


def _methods() -> dict[str, str]:
    """Jobs by the names of methods; the one called like a word of Python has a line after it (`import_`)."""
    return {name.replace("-", "_") + "_" * keyword.iskeyword(name): name for name in JOBS}


def _method(project: Project, name: str, attribute: str) -> Any:
    """Return the job as a function with a signature and a docstring made from its options."""
    job = load_job(name)

    def run(**options: Any) -> JobResult:
        return project.job(name, **options)

    declared = [o for o in job.options.declared() if not o.refused]
    run.__name__ = run.__qualname__ = attribute
    lines = [f"    {o.name} : {o.expected}\n        {o.help}" for o in declared]
    run.__doc__ = "\n".join([f"Run {job.name}: {JOBS[job.name][1]}.", "", "Options", *lines])
    empty = inspect.Parameter.empty
    parameters = [
        inspect.Parameter(o.name, inspect.Parameter.KEYWORD_ONLY, default=empty if o.required else o.default)
        for o in declared
    ]
    run.__signature__ = inspect.Signature(parameters, return_annotation=JobResult)  # type: ignore[attr-defined]
    return run
