"""Read the command line, run the job, and turn how it ended into an exit code."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boxwood.cli.cluster import add_cluster_arguments, cluster_settings
from boxwood.errors import BoxwoodError, InputError, JobAborted
from boxwood.jobs.registry import JOBS, load_job
from boxwood.options.arguments import ArgumentParser, add_arguments, given_values

if TYPE_CHECKING:
    from boxwood.jobs.from_form import FormJob
    from boxwood.jobs.job import Job
    from boxwood.jobs.reporter import Reporter

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130
# Commands that are no jobs.
OTHERS = {
    "run-job": "run what a job.star of RELION or boxwood asks for, as the next job of its project",
    "project": "list the jobs of a project, draw its flow chart, clean up",
    "schedule": "run scheduled jobs in order, and again when new micrographs have come",
    "ui": "look, pick, watch and select in a browser",
    "rerun": "repeat a finished job and compare every file of results",
    "info": "versions, processor, GPU",
}
_EPILOG = """\
`boxwood COMMAND --help` explains the options of a command. A job becomes the next Type/jobNNN/ of the RELION
project in the current folder, or puts just its files into --output DIR.

exit codes: 0 success, 1 the job failed, 2 wrong options or input, 130 stopped (Ctrl-C, abort file)"""


_RUN_JOB_HELP = """\
usage: boxwood run-job FILE [options of that job]

FILE is the job.star or run.job of a job, or the folder it is in, or a .gui_*job.star of a RELION project.
The job becomes the next of that project; if the form says that it continues one, that one goes on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `boxwood` with these arguments (default: the process's) and return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_streams()
    # One thread is all that NumPy's products are given (execution/blas.py), so no more need be made, of which
    # some machines allow few. Read when NumPy is imported, so it is set before.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return _dispatch(words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        sys.stderr.close()
        return FAILED
    except (BoxwoodError, OSError) as error:
        if "--json" in words:
            print(json.dumps({"event": "error", "text": str(error)}), flush=True)
        print(f"boxwood: {error}", file=sys.stderr)
        if isinstance(error, JobAborted):
            return INTERRUPTED
        return WRONG_USE if isinstance(error, InputError) else FAILED


def _open_closed_streams() -> None:
    """Whoever closed our output (`>&-`, some schedulers) wants none; Python has None in its place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (it is to stay open)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] not in (*OTHERS, *JOBS):
        parser = _overview()
        if not words:
            parser.print_help()
            return WRONG_USE
        if words[0].startswith("-"):
            parser.parse_args(words)  # --help, --version, or an error
        close = difflib.get_close_matches(words[0], (*OTHERS, *JOBS), n=1)
        guess = f"did you mean {close[0]}?" if close else "`boxwood --help` lists them"
        raise InputError(f"there is no command {words[0]!r}; {guess}")
    if words[0] == "info":
        from boxwood.cli.info import info

        return info(words[1:])
    if words[0] == "run-job":
        return _run_form(words[1:])
    if words[0] == "project":
        from boxwood.cli.project import project

        return project(words[1:])
    if words[0] == "ui":
        from boxwood.cli.ui import ui

        return ui(words[1:])
    if words[0] == "rerun":
        from boxwood.cli.rerun import rerun

        signal.signal(signal.SIGTERM, _as_interrupt)
        return rerun(words[1:], _reporter("--json" in words))
    if words[0] == "schedule":
        from boxwood.cli.schedule import schedule

        signal.signal(signal.SIGTERM, _as_interrupt)
        return schedule(words[1:], _reporter(as_json=False))
    return _run(words[0], words[1:])


def _overview() -> argparse.ArgumentParser:
    summaries = {**{name: summary for name, (_, summary) in JOBS.items()}, **OTHERS}
    listing = "\n".join(f"  {name:<19} {summary}" for name, summary in summaries.items())
    parser = ArgumentParser(
        prog="boxwood",
        usage="boxwood COMMAND [options]",
        description="From cryo-EM micrographs to 2D class averages and picking templates.\n\ncommands:\n"
        + listing,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from boxwood import __version__

        print(f"boxwood {__version__}")
        parser.exit()


def job_parser(name: str) -> ArgumentParser:
    """Return the parser of one job's command line."""
    job = load_job(name)
    parser = ArgumentParser(prog=f"boxwood {name}", description=JOBS[name][1])
    add_arguments(parser, job.options)
    add_common_arguments(parser, job)
    return parser


def add_common_arguments(parser: ArgumentParser, job: Job) -> None:
    """Add what is no option of a job's own: how and where it runs."""
    running = parser.add_argument_group("Running")
    where = "put just the files into this folder"
    if job.process is not None:
        where += " (default: the next job of the RELION project here)"
        running.add_argument("--alias", metavar="NAME", help="name of the job beside its number")
        running.add_argument(
            "--schedule", action="store_true", help="do not run it now, but with `boxwood schedule`"
        )
        running.add_argument(
            "--continue",
            dest="continue_from",
            nargs="?",
            const=True,
            default=False,
            metavar="JOB",
            help="go on in this job folder (Type/jobNNN, or a file in it), or in --output",
        )
    if not job.has_directory:
        running.add_argument("--output", metavar="DIR", help=where)
    running.add_argument("--threads", type=int, metavar="N", help="how many (default: all processors)")
    add_cluster_arguments(parser)
    running.add_argument("--json", action="store_true", help="write events as JSON lines, for programs")


def _run_form(words: list[str]) -> int:
    """Run the job of a job.star; further words are options of that job, and have the last word."""
    if not words or words[0].startswith("-"):
        print(_RUN_JOB_HELP)
        return 0 if words[:1] in (["-h"], ["--help"]) else WRONG_USE

    from boxwood.jobs.from_form import job_of
    from boxwood.project.job_form import JobForm

    form = job_of(JobForm.read(words[0]))
    parsed = job_parser(form.job.name).parse_args(words[1:])
    reporter = _reporter(parsed.json)
    if form.unused:
        reporter.event("log", text=f"of no use to {form.job.name}, and not used: {', '.join(form.unused)}")
    values = {**form.values, **given_values(parsed, form.job.options)}
    return _start(form.job, values, parsed, reporter, form)


def _run(name: str, words: list[str]) -> int:
    parsed, job = job_parser(name).parse_args(words), load_job(name)
    return _start(job, given_values(parsed, job.options), parsed, _reporter(parsed.json))


def _reporter(as_json: bool) -> Reporter:
    from boxwood.jobs.reporter import JsonLines, PlainLines, Terminal

    if as_json:
        return JsonLines()
    return Terminal() if sys.stdout.isatty() else PlainLines()


def _start(
    job: Job,
    values: Mapping[str, Any],
    parsed: argparse.Namespace,
    reporter: Reporter,
    form: FormJob | None = None,
) -> int:
    """Run a job as the words common to all jobs say; they have the last word, too."""
    from boxwood.jobs.runner import run_job, schedule_job

    alias = getattr(parsed, "alias", None)
    project = form.project if form else "."
    if getattr(parsed, "schedule", False):
        name = schedule_job(job, values, project=project, alias=alias, reporter=reporter)
        reporter.event("log", text=f"{name} is scheduled; run it with: boxwood schedule {name.rstrip('/')}")
        return 0
    signal.signal(signal.SIGTERM, _as_interrupt)
    run_job(
        job,
        values,
        project=project,
        output=getattr(parsed, "output", None),
        alias=alias,
        threads=parsed.threads,
        reporter=reporter,
        continue_from=getattr(parsed, "continue_from", False) or (form and form.continue_from) or False,
        scheduled=form.scheduled if form else None,
        cluster=cluster_settings(parsed),
    )
    return 0


def _as_interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
