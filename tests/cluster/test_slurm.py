"""A real batch system, where one runs: Class2D by workers that Slurm starts."""

import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
import small

from boxwood.jobs.api import Project
from boxwood.jobs.cluster import ClusterSettings
from boxwood.jobs.compare import differences, results_in


@pytest.fixture
def slurm():
    """The name of its partition."""
    if find_spec("dask_jobqueue") is None:
        pytest.skip("needs pip install '.[cluster]'")
    if shutil.which("sinfo") is None:
        pytest.skip("no Slurm here (docs/scale.md says how to start one on a single machine)")
    asked = subprocess.run(
        ["sinfo", "--noheader", "--states=idle,mixed", "--format=%R"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if asked.returncode or not asked.stdout.split():
        pytest.skip(f"Slurm has no idle node here {asked.stderr.strip()}")
    return asked.stdout.split()[0]


def test_ctrl_c_stays_an_interrupt_where_batch_systems_are_known():
    if find_spec("dask_jobqueue") is None:
        pytest.skip("needs pip install '.[cluster]'")
    script = """
import signal
from boxwood.jobs.cluster import batch_systems
batch_systems().SLURMCluster
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout == "interrupted\n", done.stderr


def test_class2d_on_slurm_has_the_bits_of_the_local_run(slurm, copy):
    settings = ClusterSettings(
        executor="dask", scheduler="slurm", workers=2, memory="1GiB", walltime="00:10:00", queue=slurm
    )
    project = Project(copy, threads=1)
    project.class2d(particles="Extract/job002/particles.star", **small.CLASSES, cluster=settings)
    folders = (copy / "Class2D/job003", copy / "Class2D/job004")
    names = results_in(folders[0]) | results_in(folders[1])
    assert list(differences(*folders, ("Class2D/job003", "Class2D/job004"), names)) == []
