"""Time Class2D against RELION's relion_refine on the same particles, whole processes, CPU time.

python benchmarks/bench_class2d.py [--particles P.star | --simulate 400] [--classes 50] [--iterations 25]
                                   [--peer-particles 150] [--peer-iterations 3] [--threads 1]

Settings are the tutorial's (6 degrees, 5 px by 1 px, T = 2, mask 200 Angstrom). RELION takes about 0.1 s per
particle and iteration, so it gets the first --peer-particles for --peer-iterations, as many classes as ours;
boxwood runs the same small job for the ratio, and the whole job for the figure that users see. Without
RELION's programs only boxwood is timed. The answer is checked: simulated views must be found again, and for
any particles all classes must hold some.
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

import numpy as np
import pandas as pd

from boxwood.io.particles import ParticleSet
from boxwood.io.stacks import write_stack
from boxwood.io.star import read_star
from boxwood.simulate import simulate_particles


def run(command: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds (user and system) and wall seconds of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return cpu, time.perf_counter() - start


def simulated(folder: Path, n: int) -> tuple[Path, np.ndarray]:
    """Write particles of 12 views of a simulated tetramer; the file and the view of each."""
    particles = simulate_particles(n, 64, 3.54, classes=12, snr=0.1, seed=1)
    write_stack(folder / "simulated.mrcs", particles.images, 3.54)
    rows = particles.ctf_rows
    names = ["rlnDefocusU", "rlnDefocusV", "rlnDefocusAngle", "rlnPhaseShift"]
    table = pd.DataFrame({name: rows[:, i] for i, name in enumerate(names)})
    table.insert(0, "rlnImageName", [f"{i + 1:06d}@simulated.mrcs" for i in range(n)])
    table.insert(1, "rlnMicrographName", [f"micrograph{i % 4}.mrc" for i in range(n)])
    table["rlnCtfBfactor"], table["rlnCtfScalefactor"], table["rlnOpticsGroup"] = rows[:, 7], rows[:, 8], 1
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnVoltage": [rows[0, 4]],
            "rlnSphericalAberration": [rows[0, 5]],
            "rlnAmplitudeContrast": [rows[0, 6]],
            "rlnImagePixelSize": [3.54],
            "rlnImageSize": [64],
            "rlnImageDimensionality": [2],
        }
    )
    ParticleSet(optics=optics, table=table).write(folder / "particles.star")
    return folder / "particles.star", particles.class_index


def first_particles(star: Path, folder: Path, n: int) -> Path:
    """A float32 copy of the first n particles (RELION 3.1 does not read float16)."""
    whole = ParticleSet.read(star)
    some = whole.select(np.arange(min(n, len(whole))))
    images = some.images().read(np.arange(len(some)))
    write_stack(folder / "some.mrcs", images, float(some.pixel_sizes()[0]))
    some.table["rlnImageName"] = [f"{i + 1:06d}@some.mrcs" for i in range(len(some))]
    some.write(folder / "some.star")
    return folder / "some.star"


def boxwood(
    star: Path, output: str, folder: Path, chosen: argparse.Namespace, iterations: int
) -> tuple[float, float]:
    options = ["--classes", str(chosen.classes), "--iterations", str(iterations), "--mask-diameter", "200"]
    options += ["--threads", str(chosen.threads), "--output", output]
    return run([sys.executable, "-m", "boxwood", "class2d", "--particles", str(star), *options], folder)


def relion(star: Path, folder: Path, chosen: argparse.Namespace) -> tuple[float, float]:
    (folder / "peer").mkdir()
    settings = f"""--o peer/run --i {star} --iter {chosen.peer_iterations} --K {chosen.classes} --tau2_fudge 2
        --ctf --particle_diameter 200 --flatten_solvent --zero_mask --oversampling 1 --psi_step 12
        --offset_range 5 --offset_step 2 --norm --scale --pad 2 --pool 3 --preread_images
        --dont_combine_weights_via_disc --j 1 --random_seed 1"""
    return run(["relion_refine", *settings.split()], folder)


def check(folder: Path, iterations: int, classes: int, truth: np.ndarray | None) -> None:
    """Stop if the classification is not one."""
    table = read_star(folder / f"run_it{iterations:03d}_data.star")["particles"]
    found = table["rlnClassNumber"].to_numpy()
    populated = len(np.unique(found[found > 0]))
    print(f"{'classes with particles':40s} {populated} of {classes}")
    if populated < 0.6 * classes:
        sys.exit("most classes are empty")
    if truth is not None:
        # The file lists the particles by micrograph.
        truth = truth[[int(name.partition("@")[0]) - 1 for name in table["rlnImageName"]]]
        share = sum(np.bincount(truth[found == k]).max() for k in np.unique(found)) / len(truth)
        print(f"{'purity against the simulated views':40s} {share:.3f}")
        if share < 0.7:
            sys.exit("the simulated views were not found again")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--particles", type=Path)
    parser.add_argument("--simulate", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--peer-particles", type=int, default=150)
    parser.add_argument("--peer-iterations", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder, truth = Path(name), None
        if chosen.particles:
            star = chosen.particles.resolve()
        else:
            star, truth = simulated(folder, chosen.simulate)
        n = len(ParticleSet.read(star))
        cpu, wall = boxwood(star, "whole", folder, chosen, chosen.iterations)
        per = cpu / n / chosen.iterations * 1e3
        print(
            f"boxwood, {n} particles, {chosen.classes} classes, {chosen.iterations} iterations, "
            "first to last file:"
        )
        print(f"  wall {wall:.1f} s, CPU {cpu:.1f} s, {per:.2f} ms CPU per particle and iteration")
        check(folder / "whole", chosen.iterations, chosen.classes, truth)
        if shutil.which("relion_refine") is None:
            print("relion_refine is not installed: no ratio")
            return
        some = first_particles(star, folder, chosen.peer_particles)
        work = min(chosen.peer_particles, n) * chosen.peer_iterations
        ours, _ = boxwood(some, "same", folder, chosen, chosen.peer_iterations)
        theirs, _ = relion(some, folder, chosen)
        print(
            f"the same job of {work} particle iterations: relion_refine {theirs / work * 1e3:.1f} ms CPU, "
            f"boxwood {ours / work * 1e3:.2f} ms CPU with start-up, ratio {theirs / ours:.0f}"
        )
        print(f"relion_refine's time per particle and iteration over that of the whole boxwood job: "
              f"{theirs / work * 1e3 / per:.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
