"""The reference of all jobs, from their declarations: ``python -m boxwood.jobs.reference > docs/jobs.md``."""

from boxwood.jobs.registry import JOBS, load_job
from boxwood.options.reference import markdown

_BEGINNING = """\
# Jobs and their options

Made by `python -m boxwood.jobs.reference`; do not edit.

Every job is a command (`boxwood autopick --min-diameter 150 …`) and a method of `boxwood.Project`
(`project.autopick(min_diameter=150, …)`; import is `import_` there). It becomes the next `Type/jobNNN/` of
the RELION project in the current folder, with job.star, note.txt, run.out, run.err, its row in
default_pipeline.star and, at the end, `RELION_JOB_EXIT_SUCCESS`, `_FAILURE` or `_ABORTED`. With
`--output DIR` it writes just its files. Either way its options, and all that `boxwood rerun` needs, are kept
in a hidden file `.boxwood.json`.

All jobs also take `--threads N` and `--json` (events as JSON lines), and all but simulate, demo and export,
which are given their folder, take `--output DIR`; those that are jobs of RELION take `--alias NAME` and
`--continue Type/jobNNN`, which goes on with the options of that job where others are not given, and refuses
options that its finished files were not made with. Ctrl-C, SIGTERM or a file `RELION_JOB_ABORT_NOW` in the
job's folder stop a job within a second; every file that it has written is whole. Exit codes: 0 success, 1 the
job failed, 2 wrong options or input, 130 stopped.

The last column has the field of RELION's job.star and the flag of RELION's program that an option answers to.
"""


def reference() -> str:
    """Return the whole reference as Markdown."""
    parts = [_BEGINNING]
    for name, (_, summary) in JOBS.items():
        sentence = summary[0].upper() + summary[1:] + "."
        parts.append(f"## boxwood {name}\n\n{sentence}\n\n{markdown(load_job(name).options)}")
    return "\n".join(parts)


if __name__ == "__main__":
    print(reference(), end="")
