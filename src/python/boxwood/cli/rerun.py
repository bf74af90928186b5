"""`boxwood rerun`: repeat a job and compare."""

from __future__ import annotations

from collections.abc import Sequence

from boxwood.jobs.reporter import Reporter
from boxwood.options.arguments import ArgumentParser

_DESCRIPTION = """\
Run a finished job again with the options its folder records, in another folder, and compare every file of
results with the job's. Exit code 0 if all are the same, 1 if one differs. Inputs, versions or a processor
that are not what they were are named."""


def rerun_parser() -> ArgumentParser:
    """Return the parser of `boxwood rerun`."""
    parser = ArgumentParser(prog="boxwood rerun", description=_DESCRIPTION)
    parser.add_argument("job", metavar="JOB", help="Type/jobNNN, its alias or its number, or a folder")
    parser.add_argument(
        "--output", metavar="DIR", help="keep the repetition there (default: only if it differs)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: all processors")
    parser.add_argument("--json", action="store_true", help="write events as JSON lines, for programs")
    return parser


def rerun(words: Sequence[str], reporter: Reporter) -> int:
    """Run `boxwood rerun` with these words."""
    from boxwood.jobs.rerun import rerun_job, verdict

    given = rerun_parser().parse_args(words)
    repetition = rerun_job(given.job, output=given.output, threads=given.threads, reporter=reporter)
    for name, how in repetition.differences.items():
        reporter.event("log", text=f"{name}: {how}")
    reporter.event("log", **verdict(given.job, repetition))
    return 1 if repetition.differences else 0
