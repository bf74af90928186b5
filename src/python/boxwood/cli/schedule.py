"""`boxwood schedule`: run scheduled jobs in order, and again."""

from __future__ import annotations

from collections.abc import Sequence

from boxwood.jobs.reporter import Reporter
from boxwood.options.arguments import ArgumentParser

_DESCRIPTION = """\
Run jobs of the project in the current folder in this order. Make them beforehand with
`boxwood COMMAND ... --schedule`, or with RELION. With --repeat, later rounds do the micrographs that came
since; jobs that are not done micrograph by micrograph are done anew, and what they had made goes to Trash/.
To stop, remove RUNNING_PIPELINER_NAME."""


def schedule(words: Sequence[str], reporter: Reporter) -> int:
    """Run `boxwood schedule` with these words."""
    from boxwood.jobs.schedule import run_schedule

    parser = ArgumentParser(prog="boxwood schedule", description=_DESCRIPTION)
    parser.add_argument("jobs", nargs="+", metavar="JOB", help="Type/jobNNN, its alias, or its number")
    parser.add_argument("--name", default="schedule1", help="name of the schedule (default: schedule1)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="rounds (default: 1)")
    parser.add_argument(
        "--min-wait", type=float, default=0.0, metavar="MINUTES", help="from one round to the next, at least"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: all processors")
    given = parser.parse_args(words)
    run_schedule(
        given.jobs,
        reporter,
        name=given.name,
        repeat=given.repeat,
        min_wait_minutes=given.min_wait,
        threads=given.threads,
    )
    return 0
