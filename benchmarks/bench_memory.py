"""Peak memory of picking, extraction, tables and 2D classification, as the data grow.

python benchmarks/bench_memory.py [--micrographs 1000 5000 10000] [--folder DIR] [--memory-gib 0.5]

Micrographs of 512 x 512 pixels with 196 particles each are links to four files, so that ten thousand of
them, and two million particles, need no more than 10 GB of disk. Every step is a process of its own, and its
peak is what the system says. A step that finds another number of particles than there are ends the benchmark.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

from boxwood.io.mrc import write_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import write_star
from boxwood.jobs.api import Project

SIZE_PX, SPACING_PX, PIXEL, BOX = 512, 36, 5.0, 32
PER_MICROGRAPH = (SIZE_PX // SPACING_PX) ** 2
STEPS = ("start", "autopick", "extract", "read and write", "class2d")


def make(folder: Path, count: int) -> None:
    """Micrographs with dark spots on a lattice, and their STAR file."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] % SPACING_PX - SPACING_PX // 2
    inside = np.arange(SIZE_PX) < SIZE_PX // SPACING_PX * SPACING_PX
    spots = np.exp(-(x**2 + y**2) / 50) * inside * inside[:, None]
    (folder / "Micrographs").mkdir(parents=True)
    for i in range(4):
        image = rng.normal(0, 0.5, spots.shape) - 2 * spots
        write_stack(folder / f"{i}.mrc", image.astype(np.float32), PIXEL, float16=True)
    names = [f"Micrographs/m{i:05d}.mrc" for i in range(count)]
    for i, name in enumerate(names):
        os.link(folder / f"{i % 4}.mrc", folder / name)
    optics = {
        "rlnOpticsGroupName": ["opticsGroup1"],
        "rlnOpticsGroup": [1],
        "rlnMicrographPixelSize": [PIXEL],
        "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.7],
        "rlnAmplitudeContrast": [0.1],
    }
    micrographs = {
        "rlnMicrographName": names,
        "rlnOpticsGroup": 1,
        "rlnDefocusU": rng.uniform(1e4, 2e4, count),
        "rlnDefocusV": rng.uniform(1e4, 2e4, count),
        "rlnDefocusAngle": rng.uniform(0, 180, count),
        "rlnCtfMaxResolution": 4.0,
        "rlnCtfFigureOfMerit": 0.1,
    }
    tables = {"optics": pd.DataFrame(optics), "micrographs": pd.DataFrame(micrographs)}
    write_star(folder / "micrographs.star", tables)


def run(step: str, folder: Path, memory_gib: float) -> int:
    """Do a step in this process; returns its number of particles."""
    project = Project(folder, threads=2)
    particles = "extract/particles.star"
    if step == "autopick":
        sizes = {"min_diameter": 90, "max_diameter": 120, "threshold_offset": 1}
        picked = project.autopick(micrographs="micrographs.star", output="pick", **sizes)
        return int(picked.values["picks"])
    if step == "extract":
        options = {"box_size": BOX, "float16": True, "output": "extract"}
        result = project.extract(micrographs="micrographs.star", coordinates="pick", **options)
        return int(result.values["particles"])
    if step == "read and write":
        table = ParticleSet.read(folder / particles)
        table.write(folder / "again.star")
        assert (folder / "again.star").read_bytes() == (folder / particles).read_bytes()
        return len(table)
    if step == "class2d":
        search = {"mask_diameter": 120, "psi_step": 24, "offset_range": 2, "offset_step": 2}
        batches = {"algorithm": "vdam", "mini_batches": 2, "classes": 4, "memory_gib": memory_gib}
        done = project.class2d(particles=particles, output="class2d", **search, **batches)
        return len(done.tables["particles"])
    return 0


def measured(step: str, folder: Path, memory_gib: float) -> tuple[int, float, float]:
    """Particles, seconds and MiB of a step in a process of its own."""
    words = [
        sys.executable,
        __file__,
        "--step",
        step,
        "--folder",
        str(folder),
        "--memory-gib",
        str(memory_gib),
    ]
    begun = time.perf_counter()
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return int(said[-2]), time.perf_counter() - begun, int(said[-1]) / 1024


def main() -> None:
    """Print a line for each step and number of micrographs, and what a further particle takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--micrographs", type=int, nargs="+", default=[1000, 5000, 10000])
    parser.add_argument(
        "--classify-at-most", type=int, default=1_000_000, help="particles (default: a million)"
    )
    parser.add_argument("--folder", type=Path, help="where 10 GB are free; default: that of temporary files")
    parser.add_argument("--memory-gib", type=float, default=0.5, help="of class2d (default: 0.5)")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        found = run(given.step, given.folder, given.memory_gib)
        print(found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    before: dict[str, tuple[int, float]] = {}
    for count in given.micrographs:
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            folder = Path(name) / "project"
            make(folder, count)
            for step in STEPS:
                expected = 0 if step == "start" else count * PER_MICROGRAPH
                if step == "class2d" and expected > given.classify_at_most:
                    continue
                particles, seconds, mib = measured(step, folder, given.memory_gib)
                if particles != expected:
                    sys.exit(f"{step} of {count} micrographs: {particles} particles, expected {expected}")
                slope = ""
                if step in before and particles > before[step][0]:
                    more, last = particles - before[step][0], before[step][1]
                    slope = f"{(mib - last) * 2**20 / more:8.0f} B per further particle"
                before[step] = particles, mib
                print(
                    f"{count:6d} {step:15s} {particles:8d} {seconds:7.1f} s {mib:7.0f} MiB {slope}",
                    flush=True,
                )
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
