"""Real batch systems, where they run: Class2D by workers that they start."""

import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest
import small

from boxwood.jobs.api import Project
from boxwood.jobs.cluster import ClusterSettings
from boxwood.jobs.compare import differences, results_in

# What lists the queues that take jobs now.
QUEUES = {
    "slurm": ["sinfo", "--noheader", "--states=idle,mixed", "--format=%R"],
    "sge": ["qselect"],
}


@pytest.fixture(params=QUEUES)
def queue(request):
    """The name of a batch system that runs here, and of one of its queues."""
    if find_spec("dask_jobqueue") is None:
        pytest.skip("needs pip install '.[cluster]'")
    command = QUEUES[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {request.param} here (docs/scale.md says how to start one on a single machine)")
    asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if asked.returncode or not asked.stdout.split():
        pytest.skip(f"{request.param} has no idle node here {asked.stderr.strip()}")
    return request.param, asked.stdout.split()[0].partition("@")[0]


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


@pytest.mark.parametrize(
    ("system", "lines"),
    [
        ("slurm", ["SBATCH -p cpu", "SBATCH --cpus-per-task=8", "SBATCH --mem=16G", "SBATCH -t 02:00:00"]),
        ("pbs", ["PBS -q cpu", "PBS -l select=1:ncpus=8:mem=16GB", "PBS -l walltime=02:00:00"]),
        ("sge", ["$ -q cpu", "$ -l h_rt=02:00:00"]),
        ("lsf", ["BSUB -q cpu", "BSUB -n 8", 'BSUB -R "span[hosts=1]"', "BSUB -W 02:00"]),
    ],
)
def test_what_a_batch_system_is_asked_for(system, lines, monkeypatch):
    if find_spec("dask_jobqueue") is None:
        pytest.skip("needs pip install '.[cluster]'")
    monkeypatch.setenv("BOXWOOD_SIMD", "avx2")
    settings = ClusterSettings(
        **{"executor": "dask", "scheduler": system, "cores": 8, "memory": "16GiB", "walltime": "02:00:00"},
        **{"queue": "cpu", "lines": ("-A laboratory",)},
    )
    with settings.batch_jobs() as jobs:
        script = jobs.job_script().splitlines()
    mark = lines[0].partition(" ")[0]
    assert {f"#{line}" for line in [*lines, f"{mark} -A laboratory"]} <= set(script)
    assert "export BOXWOOD_SIMD='avx2'" in script
    assert script[-1].startswith(f"{sys.executable} -m distributed.cli.dask_worker tcp://")
    assert "--nthreads 8" in script[-1]


def test_class2d_on_a_batch_system_has_the_bits_of_the_local_run(queue, copy):
    system, name = queue
    settings = ClusterSettings(
        executor="dask", scheduler=system, workers=2, memory="1GiB", walltime="00:10:00", queue=name
    )
    project = Project(copy, threads=1)
    project.class2d(particles="Extract/job002/particles.star", **small.CLASSES, cluster=settings)
    folders = (copy / "Class2D/job003", copy / "Class2D/job004")
    names = results_in(folders[0]) | results_in(folders[1])
    assert list(differences(*folders, ("Class2D/job003", "Class2D/job004"), names)) == []
