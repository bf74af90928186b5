"""The job that a file of a RELION project belongs to, by the file's name."""

import re

# A job's folder at the start of a name: its type, and a number of three digits or more.
JOB = re.compile(r"[A-Za-z][A-Za-z0-9]*/job\d{3,}/")


def without_job(name: str) -> str:
    """A file's name without the job it belongs to: ``MotionCorr/job002/a/b.mrc`` gives ``a/b.mrc``."""
    job = JOB.match(name)
    return name[job.end() :] if job else name
