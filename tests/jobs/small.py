"""The small project of the fixture `whole`: the options of its jobs, and how to look at it."""

import numpy as np

from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet
from boxwood.jobs.api import Project
from boxwood.project.folder import ProjectFolder

STAR = {"micrographs": "micrographs_ctf.star"}
PICK = {**STAR, "min_diameter": 150, "max_diameter": 180, "threshold_offset": 1}
BOXES = {**STAR, "coordinates": "AutoPick/job001", "box_size": 64, "rescale": 32}
CLASSES = {"classes": 2, "iterations": 3, "mask_diameter": 160, "psi_step": 18, "offset_range": 2}
# The picking on the command line.
AUTOPICK = [
    *("autopick", "--micrographs", "micrographs_ctf.star"),
    *("--min-diameter", "150", "--max-diameter", "180"),
]


def build(folder):
    """Make the project: picks, particles and classes."""
    project = Project(folder, threads=2)
    project.simulate(
        directory=".", micrographs=3, width=400, height=400, pixel_size=3.54, particles=12, snr=0.3
    )
    project.autopick(**PICK)
    project.extract(**BOXES)
    project.class2d(particles="Extract/job002/particles.star", **CLASSES)


def statuses(folder):
    return {job.name: job.status for job in ProjectFolder(folder).pipeline().jobs()}


def temporary_files(folder):
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def assert_same_particles(job, other):
    """Bit for bit, in the folders of two jobs."""
    stacks = sorted(other.rglob("*.mrcs"))
    assert len(stacks) == 3
    for stack in stacks:
        np.testing.assert_array_equal(read_stack(job / stack.relative_to(other))[:], read_stack(stack)[:])
    tables = [ParticleSet.read(folder / "particles.star").table for folder in (job, other)]
    tables = [table.drop(columns="rlnImageName") for table in tables]
    assert len(tables[0]) and tables[0].equals(tables[1])
