"""The memory that a classification was given bounds rows and transforms together."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import boxwood
from boxwood.io.mrc import write_stack
from boxwood.io.particles import ParticleSet
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

BOX, PIXEL, IMAGES = 24, 8.0, 100
FEW, MANY = 10_000, 40_000
MEMORY_GIB = 0.03
OPTIONS = {
    **{"mask_diameter": 150, "classes": 2, "algorithm": "vdam", "mini_batches": 2},
    **{"psi_step": 36, "offset_range": 1, "offset_step": 1, "ctf": False},
}
PEAK = """
import resource, sys
sys.path.insert(0, sys.argv[3])
from test_class2d_memory import classify
classify(sys.argv[1], float(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def classify(particles, memory_gib, **more):
    options = {"particles": Path(particles), "memory_gib": memory_gib, **OPTIONS}
    return run_job(load_job("class2d"), options, threads=1, output=Path(particles).stem, **more)


def write_particles(name, count):
    """Rows that share a few images, and have names as long as those of a large set."""
    numbers = np.arange(count)
    table = {
        "rlnImageName": [f"{i % IMAGES + 1:06d}@Extract/job001/Micrographs/all.mrcs" for i in numbers],
        "rlnMicrographName": [f"MotionCorr/job002/Micrographs/{i // 200:06d}.mrc" for i in numbers],
        "rlnCoordinateX": numbers / 8,
        "rlnCoordinateY": numbers / 9,
        "rlnOpticsGroup": 1,
    }
    optics = {"rlnOpticsGroup": [1], "rlnOpticsGroupName": ["one"], "rlnImagePixelSize": [PIXEL]}
    ParticleSet(pd.DataFrame(optics), pd.DataFrame(table)).write(name)


def test_more_particles_take_no_more_memory_than_was_given(tmp_path, monkeypatch):
    """Rows take 24 MB of it with the larger set: by so much the peak would grow if they came on top."""
    monkeypatch.chdir(tmp_path)
    Path("Extract/job001/Micrographs").mkdir(parents=True)
    y, x = np.mgrid[:BOX, :BOX] - BOX / 2
    images = np.random.default_rng(0).normal(size=(IMAGES, BOX, BOX)) + 2 * np.exp(-(x**2 + y**2) / 40)
    write_stack("Extract/job001/Micrographs/all.mrcs", images, PIXEL)
    peak = {}
    for count in (FEW, MANY):
        write_particles(f"p{count}.star", count)
        command = [sys.executable, "-c", PEAK, f"p{count}.star", str(MEMORY_GIB), str(Path(__file__).parent)]
        environment = {"PYTHONPATH": str(Path(boxwood.__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peak[count] = int(done.stdout.split()[-1])
    assert peak[MANY] - peak[FEW] < 10e6
