"""2D classification as a job: `boxwood class2d`, RELION's Class2D."""

from boxwood.jobs.class2d.options import Class2DOptions
from boxwood.jobs.class2d.run import JOB, run

__all__ = ["JOB", "Class2DOptions", "run"]
