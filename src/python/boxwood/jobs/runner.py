"""Run a job: check its options, keep its folder and bookkeeping, and say how it ended."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from boxwood.errors import BoxwoodError, InputError, JobAborted
from boxwood.execution import Executor
from boxwood.execution.blas import one_blas_thread
from boxwood.jobs.abort import stopped_by
from boxwood.jobs.cluster import ClusterSettings, workers_of
from boxwood.jobs.context import JobContext
from boxwood.jobs.continuing import refuse_changes
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.place import Place, PlainFolder, ProjectJob, check_outputs, input_files
from boxwood.jobs.record import begun, ended, input_checksums
from boxwood.jobs.reporter import Reporter, Silent, Tee
from boxwood.options import Options
from boxwood.project.job_files import Kept, read_settings
from boxwood.project.names import job_folder

# Bad inputs that the summary at the end names once more.
_NAMED_AGAIN = 20


def run_job(
    job: Job,
    values: Mapping[str, Any],
    *,
    project: str | os.PathLike[str] = ".",
    output: str | os.PathLike[str] | None = None,
    alias: str | None = None,
    threads: int | None = None,
    reporter: Reporter | None = None,
    continue_from: str | os.PathLike[str] | bool = False,
    scheduled: str | None = None,
    executor: Executor | None = None,
    cluster: ClusterSettings | None = None,
) -> JobResult:
    """Run one job to its end.

    Parameters
    ----------
    job : Job
    values : mapping
        Options by name. A continued job of a project already knows its own.
    project : path
        The project's folder. The job runs in it: all relative names are relative to this folder.
    output : path, optional
        Put just the files there, and keep no books. Without it the job becomes the next
        "Type/jobNNN/" of the project, which is begun if there is none.
    alias : str, optional
    threads : int, optional
        Default: the processors this process may use.
    reporter : Reporter, optional
    continue_from : path or bool
        Go on in this job ("AutoPick/job006", or one of its files), or with True in `output`.
    scheduled : str, optional
        The job's folder "AutoPick/job006/", which was made when it was scheduled.
    executor : Executor, optional
        Does the pieces of work; by default threads of this process do, or
    cluster : ClusterSettings, optional
        The workers that this describes.

    Returns
    -------
    JobResult

    Raises
    ------
    InputError
        If the options are wrong; nothing has been made then. If the input files are, a new job stays as a
        failed one, and a continued one as it was.
    JobAborted
        On Ctrl-C or RELION_JOB_ABORT_NOW; the text says how to go on.
    JobError
    """
    reporter = reporter or Silent()
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; it must be at least 1")
    if cluster is not None and cluster.executor != "threads" and job.not_on_workers is None:
        raise InputError(
            f"{job.name} is done by the threads of this process alone; leave out --executor "
            f"{cluster.executor}"
        )
    if job.has_directory and output is not None:
        raise InputError(f"{job.name} has no output; name its folder with directory")
    with _in_folder(Path(project)), one_blas_thread():
        earlier = _earlier_job(job, output, continue_from)
        known = {}
        if earlier:
            known = read_settings(Path(earlier), job.name)
        elif job.keeps and output is not None and continue_from is not False:
            known = read_settings(Path(output), job.name)
        options = job.options.make({**known, **values})
        if job.keeps:
            refuse_changes(known, options, values, job.keeps(options))
        _check_inputs(options)
        if job.occupied and (there := job.occupied(options)):
            raise InputError(f"{there} is there already; remove it, or name another folder")
        resumed = _resumed_file(job, output, continue_from)
        place: Place
        if job.process is None or output is not None:
            if alias:
                raise InputError("an alias belongs to a job of a project; leave out --output or --alias")
            place = PlainFolder(job, output)
        else:
            place = ProjectJob(
                job, reporter, alias=alias, earlier=earlier, resumed=resumed, scheduled=scheduled
            )
        going_on = continue_from is not False
        try:
            result = _run_in(
                place, job, options, threads, reporter, going_on, resumed, values, executor, cluster
            )
        except KeyboardInterrupt:  # before it had begun: later there is a JobAborted
            place.abandon()
            raise
    # The caller is in another folder than the job was.
    files = {name: Path(project) / path for name, path in result.files.items()}
    return replace(result, output=Path(project) / result.output, files=files)


def schedule_job(
    job: Job,
    values: Mapping[str, Any],
    *,
    project: str | os.PathLike[str] = ".",
    alias: str | None = None,
    reporter: Reporter | None = None,
) -> str:
    """Enter a job of the project that is to run later, and return its name "Type/jobNNN/".

    The files it reads need not be there yet.

    Raises
    ------
    InputError
        If the options are wrong.
    """
    if job.process is None:
        raise InputError(f"{job.name} is no job of a project; schedule the jobs it consists of")
    with _in_folder(Path(project)):
        place = ProjectJob(job, reporter or Silent(), alias=alias)
        place.schedule(job.options.make(values), threads=1)
    return place.name


def _run_in(
    place: Place,
    job: Job,
    options: Options,
    threads: int | None,
    reporter: Reporter,
    continuing: bool,
    resumed: Path | None,
    values: Mapping[str, Any],
    executor: Executor | None,
    cluster: ClusterSettings | None,
) -> JobResult:
    from boxwood.backends import available_threads

    threads = threads or available_threads()
    place.start(options, threads)
    earlier = Kept.read(place.folder) if continuing else None
    runs = [*_without_inputs(earlier), begun(values, threads)]
    context = JobContext(
        place.folder,
        threads=threads,
        dialect=place.dialect,
        continuing=continuing,
        interrupted=earlier is not None and not place.finished(earlier),
        continue_from=resumed,
        put_away=place.put_away,
        given=frozenset(values),
        output_given=place.given,
        reporter=reporter,
        executor=executor,
    )
    status = "Failed"
    keeping = True
    try:
        context.reporter = Tee(reporter, place.open_log(options))
        place.keep(options, runs)
        context.reporter.event("start", job=job.name, output=context.name, text=_opening(job, context))
        # What is continued may have settings of its own that only the job can read.
        for option in () if continuing else options.idle(values):
            context.warn(f"{option.argument} has no effect without {option.needs.replace('=', ' ')}")
        context.warn_of_cut(path for _, path, _ in input_files(options))
        with stopped_by(context.abort_file), workers_of(cluster, context), closing(context):
            if not context.executor.local and job.not_on_workers and (part := job.not_on_workers(options)):
                context.warn(f"{part} is done by this process alone, not by the workers of the cluster")
            result = job.run(options, context)
        if not context.outputs:
            for name, kind in job.outputs(options, context.dialect).items():
                context.add_output(context.output / name, kind)
        result = replace(result, output=place.folder, bad=tuple(context.bad_inputs))
        check_outputs(context)
        runs[-1]["inputs"] = input_checksums(options, context)
        status = "Succeeded"
        _conclude(result, context)
        return result
    except (KeyboardInterrupt, JobAborted) as stop:
        status = "Aborted"
        if job.process is None and isinstance(stop, JobAborted):
            raise  # one of its jobs was stopped and has said how to go on
        text = f"stopped; every file in {context.name} is whole. Go on with: {place.how_to_continue(options)}"
        place.log.event("error", text=text)
        raise JobAborted(text) from stop
    except Exception as error:
        if isinstance(error, InputError):
            status = place.refuse()
            keeping = not continuing
        if not isinstance(error, BoxwoodError):
            place.log.event("trace", text="".join(traceback.format_exception(error)))
        place.log.event("error", text=str(error) or type(error).__name__)
        raise
    finally:
        runs[-1].update(ended(status), backends=context.backends)
        _end(place, status, context, reporter, partial(place.keep, options, runs) if keeping else None)
        reporter.event("end", job=job.name, output=context.name, status=status)


def _end(
    place: Place, status: str, context: JobContext, reporter: Reporter, keep: Callable[[], None] | None
) -> None:
    """Enter the end in the books; what was made is not lost if that fails."""
    for step in (keep, partial(place.end, status, context)):
        try:
            if step:
                step()
        except (BoxwoodError, OSError) as error:
            text = f"{context.name} ended ({status.lower()}), but the project could not be told: {error}"
            reporter.event("warning", text=text)


def _without_inputs(kept: Kept | None) -> list[dict[str, Any]]:
    """What is recorded of the runs that one goes on from; the last will know the inputs of all."""
    return [{name: run[name] for name in run if name != "inputs"} for run in kept.runs] if kept else []


def _opening(job: Job, context: JobContext) -> str:
    if job.process is None:
        return ""
    return f"{job.name} in {context.name} with {context.threads} thread{'s' * (context.threads > 1)}"


def _conclude(result: JobResult, context: JobContext) -> None:
    """Say what was made, and name what was left out."""
    if result.bad:
        context.warn(f"{len(result.bad)} input{'s' * (len(result.bad) > 1)} left out: {_why(result.bad)}")
    context.reporter.event(
        "result",
        text=result.summary,
        output=context.name,
        files=result.files,
        values=result.values,
        left_out=len(result.bad),
    )


def _why(bad: Sequence[tuple[str, str]]) -> str:
    """The first inputs that were left out, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in bad[:_NAMED_AGAIN]:
        by_reason.setdefault(reason, []).append(name)
    parts = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    if len(bad) > _NAMED_AGAIN:
        parts.append(f"and {len(bad) - _NAMED_AGAIN} more, named above")
    return "; ".join(parts)


def _earlier_job(
    job: Job, output: str | os.PathLike[str] | None, continue_from: str | os.PathLike[str] | bool
) -> str | None:
    """Return the job folder to go on in, if it is one of the project."""
    if continue_from is False or output is not None or job.process is None:
        return None
    if continue_from is True:
        raise InputError(f"say which job to continue: --continue {job.folder}/jobNNN, or also give --output")
    folder = job_folder(str(continue_from))
    if not Path(str(continue_from)).exists() or folder is None or not folder.startswith(job.folder + "/"):
        raise InputError(f"{continue_from} is no {job.folder} job of the project in {Path.cwd()}")
    return folder


def _resumed_file(
    job: Job, output: str | os.PathLike[str] | None, continue_from: str | os.PathLike[str] | bool
) -> Path | None:
    """Return the file to go on from, for jobs that go on from one."""
    if continue_from is False or job.resumes is None:
        return None
    place = Path(str(output) if continue_from is True else continue_from)
    return job.resumes(place) if place.is_dir() else place


def _check_inputs(options: Options) -> None:
    """Refuse input files that are not there, before anything is made."""
    for name, path, _ in input_files(options):
        if not path.exists():
            raise InputError(f"{name}: there is no file {path} (looked in {Path.cwd()})")


@contextmanager
def _in_folder(folder: Path) -> Iterator[None]:
    """Work in `folder`, as RELION's programs do in their project."""
    before = Path.cwd()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
    except OSError as error:
        raise InputError(f"the project folder {folder} cannot be used: {error.strerror}") from error
    try:
        yield
    finally:
        os.chdir(before)
