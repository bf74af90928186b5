"""How time and memory of a classification grow with particles, classes, box, offsets and threads.

python benchmarks/bench_scaling.py [AXIS ...] [--largest 100000] [--million] [--plot scaling.png]

Jobs as users run them, files included, in a process each. One thing grows and the others are the tutorial's
(2000 particles of 64 px, 50 classes, 6 degrees, 5 px by 1 px). The time is that between the ends of the
first and the last of four iterations, the memory the largest resident set. Slopes are those of straight lines
through the last three points of log-log plots. --million does one iteration of 1,000,000 particles and
100 classes. Images of large sets are the same 5000 again and again, which makes no difference.
The answers are checked: the averages do not depend on threads to the bit, and the log-likelihood rises.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from boxwood.io.particles import ParticleSet
from boxwood.io.stacks import write_stack
from boxwood.simulate import SimulatedSource

ITERATIONS = 4
_STORED = 5000  # images on disc; larger sets repeat them
_PER_MICROGRAPH = 250
_FIELD_ANGSTROM = 64 * 3.54

AXES: dict[str, list[dict[str, float]]] = {
    "particles": [{"particles": n} for n in (1000, 3000, 10_000, 30_000, 100_000)],
    "classes": [{"classes": k} for k in (10, 25, 50, 100, 200, 500)],
    "box": [{"box": b} for b in (32, 48, 64, 96, 128, 192, 256)],
    "offsets": [{"offset_range": r} for r in (1, 2, 3, 5, 8, 12)],
    "threads": [{"threads": t} for t in (1, 2)],
}
USUAL: dict[str, float] = {
    "particles": 2000,
    "classes": 50,
    "box": 64,
    "offset_range": 5,
    "psi_step": 6,
    "threads": 1,
    "memory_gib": 4,
    "iterations": ITERATIONS,
}

# Runs one job, and says when each iteration ended and how much memory was needed.
CHILD = """
import json, resource, sys, time
from boxwood.jobs.registry import load_job
from boxwood.jobs.runner import run_job

class Clock:
    marks = []
    def event(self, kind, **data):
        if kind == "log" and data["text"].startswith("iteration"):
            used = resource.getrusage(resource.RUSAGE_SELF)
            self.marks.append((used.ru_utime + used.ru_stime, time.perf_counter()))

settings = json.loads(sys.argv[1])
threads = settings.pop("threads")
began = time.perf_counter()
result = run_job(load_job("class2d"), settings, output="out", threads=threads, reporter=Clock())
used = resource.getrusage(resource.RUSAGE_SELF)
# The largest resident memory of this program: ru_maxrss counts that of the one it was forked from.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
(cpu, wall), (cpu_end, wall_end) = Clock.marks[1], Clock.marks[-1]
steps = max(1, len(Clock.marks) - 2)
likelihood = result.tables["convergence"]["log_likelihood"].tolist()
print(json.dumps({
    "cpu": (cpu_end - cpu) / steps, "wall": (wall_end - wall) / steps,
    "whole_cpu": used.ru_utime + used.ru_stime, "whole_wall": time.perf_counter() - began,
    "memory_gib": int(peak.split()[1]) / 2**20, "likelihood": likelihood,
}))
"""


def make_particles(folder: Path, n: int, box: int) -> None:
    """Write a particles.star of n rows and a stack of at most 5000 images."""
    source = SimulatedSource(min(n, _STORED), box, _FIELD_ANGSTROM / box, classes=20, snr=0.1, seed=1)
    write_stack(folder / "some.mrcs", source.read(np.arange(len(source))), _FIELD_ANGSTROM / box)
    stored = np.arange(n) % len(source)
    micrograph = np.arange(n) // _PER_MICROGRAPH
    rows = source.ctf_rows[stored]
    table = pd.DataFrame(
        {
            "rlnImageName": pd.Series(stored + 1).map("{:06d}@some.mrcs".format),
            "rlnMicrographName": pd.Series(micrograph).map("micrograph{:06d}.mrc".format),
            "rlnDefocusU": rows[:, 0],
            "rlnDefocusV": rows[:, 1],
            "rlnDefocusAngle": rows[:, 2],
            "rlnOpticsGroup": 1,
        }
    )
    optics = pd.DataFrame(
        {
            "rlnOpticsGroupName": ["opticsGroup1"],
            "rlnOpticsGroup": [1],
            "rlnVoltage": [rows[0, 4]],
            "rlnSphericalAberration": [rows[0, 5]],
            "rlnAmplitudeContrast": [rows[0, 6]],
            "rlnImagePixelSize": [_FIELD_ANGSTROM / box],
            "rlnImageSize": [box],
            "rlnImageDimensionality": [2],
        }
    )
    ParticleSet(optics=optics, table=table).write(folder / "particles.star")


def run(settings: dict[str, float]) -> tuple[dict[str, float], bytes]:
    """What one job needed, and its class averages."""
    given = {
        "particles": "particles.star",
        "classes": int(settings["classes"]),
        "iterations": int(settings["iterations"]),
        "mask_diameter": 200,
        "psi_step": settings["psi_step"],
        "offset_range": settings["offset_range"],
        "offset_step": 1.0,
        "threads": int(settings["threads"]),
        "memory_gib": settings["memory_gib"],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_particles(folder, int(settings["particles"]), int(settings["box"]))
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(given)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        found = json.loads(done.stdout.splitlines()[-1])
        last = folder / f"out/run_it{int(settings['iterations']):03d}_classes.mrcs"
        averages = last.read_bytes()
    likelihood = found.pop("likelihood")[1:]
    if not np.isfinite(likelihood).all() or (len(likelihood) > 1 and max(likelihood) == likelihood[0]):
        sys.exit(f"the log-likelihood does not rise: {likelihood}")
    return found, averages


def sweep(axis: str, largest: int) -> tuple[list[float], list[dict[str, float]]]:
    """Run the jobs of one axis and print their table."""
    places, rows, averages = [], [], set()
    print(f"\n{axis:>12s} {'s CPU':>9s} {'s wall':>9s} {'ms/particle':>12s} {'GiB':>7s}")
    for change in AXES[axis]:
        settings = USUAL | change
        if settings["particles"] > largest:
            continue
        found, made = run(settings)
        (value,) = change.values()
        places.append(float(value))
        rows.append(found)
        averages.add(made)
        per = 1e3 * found["cpu"] / settings["particles"]
        print(
            f"{value:12g} {found['cpu']:9.2f} {found['wall']:9.2f} {per:12.3f} {found['memory_gib']:7.2f}",
            flush=True,
        )
    if axis == "threads":
        if len(averages) != 1:
            sys.exit("the averages depend on the number of threads")
        print(f"the same averages to the bit; {rows[0]['wall'] / rows[-1]['wall']:.2f} times as fast")
    elif len(places) > 1:
        time, memory = (slope(places, [row[what] for row in rows]) for what in ("cpu", "memory_gib"))
        print(f"slope of the last points: time {time:.2f}, memory {memory:.2f}")
    if axis == "particles" and rows:
        per = rows[-1]["cpu"] / places[-1]
        print(f"1,000,000 particles, extrapolated: {per * 1e6:.0f} s CPU an iteration")
    return places, rows


def slope(x: list[float], y: list[float]) -> float:
    return float(np.polyfit(np.log(x[-3:]), np.log(y[-3:]), 1)[0])


def million() -> None:
    """One iteration of 1,000,000 particles with 100 classes."""
    settings = USUAL | {"particles": 1_000_000, "classes": 100, "iterations": 1, "threads": 2}
    found, _ = run(settings)
    print(
        "\n1,000,000 particles, 100 classes, iterations 0 and 1, first to last file: "
        f"{found['memory_gib']:.2f} GiB, {found['whole_cpu']:.0f} s CPU, {found['whole_wall']:.0f} s wall"
    )


def plot(path: Path, results: dict[str, tuple[list[float], list[dict[str, float]]]]) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator

    figure = Figure(figsize=(2.8 * len(results), 5), layout="constrained")
    axes = figure.subplots(2, len(results), squeeze=False)
    for column, (axis, (places, rows)) in enumerate(results.items()):
        for row, (what, label) in enumerate((("cpu", "s CPU an iteration"), ("memory_gib", "GiB at most"))):
            panel = axes[row, column]
            if axis == "threads" and what == "cpu":
                what, label = "wall", "s wall an iteration"
            panel.loglog(places, [found[what] for found in rows], "o-", color="#1f6f8b", markersize=4)
            panel.set_xticks(places, [f"{place:g}" for place in places], fontsize=7)
            panel.minorticks_off()
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter("{x:g}")
            panel.set_xlabel(axis)
            panel.set_title(label, fontsize=9)
            panel.grid(alpha=0.25, which="both")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=", ".join(AXES))
    parser.add_argument("--largest", type=int, default=100_000)
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--plot", type=Path)
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    for axis in chosen.axes:
        if axis not in AXES:
            parser.error(f"there is no axis {axis!r}; there are {', '.join(AXES)}")
    results = {axis: sweep(axis, chosen.largest) for axis in chosen.axes or AXES}
    if chosen.plot:
        plot(chosen.plot, results)
    if chosen.million:
        million()


if __name__ == "__main__":
    main()
