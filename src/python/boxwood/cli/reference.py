"""The reference of commands and jobs: ``python -m boxwood.cli.reference > docs/jobs.md``."""

from collections.abc import Iterable

from boxwood.cli.command import OTHERS, add_common_arguments
from boxwood.jobs.registry import JOBS, load_job
from boxwood.options.arguments import ArgumentParser
from boxwood.options.reference import markdown

_BEGINNING = """\
# Jobs and their options

Made by `python -m boxwood.cli.reference`; do not edit.

Every job is a command (`boxwood autopick --min-diameter 150 …`) and a method of `boxwood.Project`
(`project.autopick(min_diameter=150, …)`; import is `import_` there). All but {without_books} become the
next `Type/jobNNN/` of the RELION project in the current folder, with job.star, note.txt, run.out, run.err,
a row in default_pipeline.star and, at the end, `RELION_JOB_EXIT_SUCCESS`, `_FAILURE` or `_ABORTED`. With
`--output DIR` they write just their files. `run` makes several of them, and {with_directory} write
into the folder that they are given. Either way a job's options, and all that `boxwood rerun` needs, are kept
in a hidden file `.boxwood.json`.

A job that is continued has the options it had where others are not given, and refuses options that its
finished files were not made with. Ctrl-C, SIGTERM or a file `RELION_JOB_ABORT_NOW` in the job's folder stop a
job within a second; every file that it has written is whole. Exit codes: 0 success, 1 the job failed, 2 wrong
options or input, 130 stopped.

## Commands that are no jobs

`boxwood COMMAND --help` has their options.

| command | |
|---|---|
"""
_COMMON = """
## Options of all jobs

Workers of a cluster ([how](scale.md)) do the work of {on_workers}; the other jobs refuse the executor dask.

| option | jobs | what it does |
|---|---|---|
"""
_OPTIONS = """
Those of each job follow. The last column has the field of RELION's job.star and the flag of RELION's program
that an option answers to.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    jobs = {name: load_job(name) for name in JOBS}
    beginning = _BEGINNING.format(
        without_books=_listed(name for name, job in jobs.items() if job.process is None),
        with_directory=_listed(name for name, job in jobs.items() if job.has_directory),
    )
    commands = "".join(f"| `boxwood {name}` | {summary} |\n" for name, summary in OTHERS.items())
    on_workers = _listed(name for name, job in jobs.items() if job.not_on_workers is not None)
    parts = [beginning + commands + _COMMON.format(on_workers=on_workers) + _common() + _OPTIONS]
    for name, job in jobs.items():
        summary = JOBS[name][1]
        sentence = summary[0].upper() + summary[1:] + "."
        parts.append(f"## boxwood {name}\n\n{sentence}\n\n{markdown(job.options)}")
    return "\n".join(parts)


def _common() -> str:
    """Rows of the words that are no options of one job, with the jobs that take them."""
    taken = {}
    for name in JOBS:
        parser = ArgumentParser(add_help=False)
        add_common_arguments(parser, load_job(name))
        taken[name] = {action.option_strings[0]: action for action in parser.arguments()}
    rows = []
    for word, action in max(taken.values(), key=len).items():
        lacking = [name for name in JOBS if word not in taken[name]]
        metavar = action.metavar and (f"[{action.metavar}]" if action.nargs == "?" else action.metavar)
        shown = f"{word} {metavar}" if metavar else word
        who = f"all but {_listed(lacking)}" if lacking else "all"
        rows.append(f"| `{shown}` | {who} | {action.help} |\n")
    return "".join(rows)


def _listed(names: Iterable[str]) -> str:
    *most, last = (f"`{name}`" for name in names)
    return f"{', '.join(most)} and {last}" if most else last


if __name__ == "__main__":
    print(reference(), end="")
