"""What is worth comparing between machines and programs, in one go: a table, a plot, the numbers as JSON.

python benchmarks/run.py [--out FOLDER] [--quick] [STEP ...]

Steps: log, extract, class2d, threads, public2d. Every one checks its answer before it is timed, and takes
RELION's program of the same task as its peer where that is installed: the same input, in the same run, CPU
time (user and system) of one thread. --quick is for trying the script.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import bench_class2d
import bench_extract
import bench_log_pick
import bench_scaling
import numpy as np
import public2d

import boxwood
from boxwood.backends import available_threads, cpu_status
from boxwood.io.mrc import read_image, write_stack
from boxwood.picking import pick_log

SHAPE, PIXEL = (3710, 3838), 0.885


@dataclass(frozen=True)
class Figure:
    """One line of the table; `peer` is None where RELION has no such program here."""

    step: str
    unit: str
    boxwood: float
    peer: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.peer / self.boxwood if self.peer else None


def log_picking(folder: Path, quick: bool) -> list[Figure]:
    """Read and pick micrographs of the tutorial's size."""
    count = 1 if quick else 3
    options = {"min_diameter": 150.0, "max_diameter": 180.0, "max_resolution": 20.0}
    images = [bench_log_pick.simulated(SHAPE, 165 / PIXEL, seed) for seed in range(count)]
    bench_log_pick.check(images[0], PIXEL, options)
    names = [f"m{i}.mrc" for i in range(count)]
    for name, image in zip(names, images, strict=True):
        write_stack(folder / name, image, PIXEL)
    ours = _best(
        lambda: [pick_log(read_image(folder / name).data, PIXEL, **options, threads=1) for name in names]
    )
    peer = None
    if shutil.which("relion_autopick"):
        peer = bench_log_pick.relion(folder, names, PIXEL, options) / count
    return [Figure("LoG picking, read and pick", "s a micrograph", ours / count, peer)]


def extraction(folder: Path, quick: bool) -> list[Figure]:
    """Read micrographs, cut, rescale and normalise 170 particles each, write stacks."""
    count, box, rescale, background = 1 if quick else 3, 256, 64, 200.0
    rng = np.random.default_rng(0)
    places = [rng.uniform(0, np.array(SHAPE[::-1])[:, None], (2, 170)).round(3) for _ in range(count)]
    images = [bench_extract.simulated(SHAPE, seed) for seed in range(count)]
    options = {"pixel_size_angstrom": PIXEL, "box_size": box, "rescale": rescale}
    options |= {"background_diameter": background, "threads": 1}
    bench_extract.check(images[0], *places[0][:, :20], options)
    names = [f"e{i}.mrc" for i in range(count)]
    for name, image in zip(names, images, strict=True):
        write_stack(folder / name, image, PIXEL)
    ours = min(bench_extract.ours(folder, names, places, options) for _ in range(3))
    peer = None
    if shutil.which("relion_preprocess"):
        chosen = argparse.Namespace(background=background, rescale=rescale, box=box)
        peer = bench_extract.relion(folder, names, places, chosen) / count
    return [
        Figure("extraction, 170 particles 256 to 64 px, read to write", "s a micrograph", ours / count, peer)
    ]


def classification(folder: Path, quick: bool) -> list[Figure]:
    """The tutorial's Class2D on simulated particles, whole processes."""
    n, iterations, peer_particles, peer_iterations = (300, 3, 30, 1) if quick else (2000, 25, 100, 2)
    chosen = argparse.Namespace(classes=50, threads=1, peer_iterations=peer_iterations)
    star, truth = bench_class2d.simulated(folder, n)
    cpu, wall = bench_class2d.boxwood(star, "whole", folder, chosen, iterations)
    if not quick:
        bench_class2d.check(folder / "whole", iterations, chosen.classes, truth)
    per = cpu / n / iterations * 1e3
    peer = None
    if shutil.which("relion_refine"):
        some = bench_class2d.first_particles(star, folder, peer_particles)
        theirs, _ = bench_class2d.relion(some, folder, chosen)
        peer = theirs / peer_particles / peer_iterations * 1e3
    note = f"{n} particles, 25 iterations: {wall:.1f} s by the clock"
    return [
        Figure("Class2D, 64 px, K = 50, 6 degrees, 5 by 1 px", "ms a particle and iteration", per, peer, note)
    ]


def threads(_: Path, quick: bool) -> list[Figure]:
    """How an iteration gains from threads; the averages must be the same to the bit."""
    figures, averages, one = [], set(), 0.0
    counts = [t for t in (1, 2, 4, 8, 16, 32, 64) if t <= available_threads()]
    particles = 500 if quick else 5000
    for count in counts:
        found, made = bench_scaling.run(bench_scaling.USUAL | {"particles": particles, "threads": count})
        averages.add(made)
        one = one or found["wall"]
        note = f"{one / found['wall']:.2f} times as fast as one"
        figures.append(
            Figure(f"an iteration of {particles} particles, {count} threads", "s", found["wall"], None, note)
        )
    if len(averages) != 1:
        sys.exit("the averages depend on the number of threads")
    return figures


def public(folder: Path, quick: bool) -> list[Figure]:
    """The small set of the public benchmark."""
    size = public2d.SIZES["tiny" if quick else "small"]
    public2d.make(folder, size)
    command = [sys.executable, "-m", "boxwood", "class2d", "--particles", "particles.star", "--output", "out"]
    command += ["--classes", str(size.views * 3 // 2), "--mask-diameter", "200"]
    found = public2d.run(folder, Path("out/run_it025_data.star"), command)
    scores = ["purity", "mutual_information", "psi_error_deg", "offset_error_angstrom", "junk_auc"]
    note = ", ".join(f"{name} {found[name]:.3g}" for name in [*scores, "resolution_angstrom"])
    return [
        Figure(
            f"public 2D benchmark, {size.particles} particles", "s by the clock", found["wall_s"], None, note
        )
    ]


STEPS: dict[str, Callable[[Path, bool], list[Figure]]] = {
    "log": log_picking,
    "extract": extraction,
    "class2d": classification,
    "threads": threads,
    "public2d": public,
}


def machine() -> dict[str, object]:
    """What was measured, and on what."""
    status = cpu_status()
    model = next((line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    return {
        "boxwood": boxwood.__version__,
        "processor": model or platform.processor(),
        "threads": available_threads(),
        "simd": ", ".join(status["chosen"]),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
    }


def table(about: dict[str, object], figures: list[Figure]) -> str:
    """Markdown."""
    lines = ["; ".join(f"{name} {value}" for name, value in about.items()), ""]
    lines += ["| | unit | boxwood | RELION | ratio | |", "|---|---|---|---|---|---|"]
    for f in figures:
        peer = "" if f.peer is None else f"{f.peer:.3g}"
        ratio = "" if f.ratio is None else f"{f.ratio:.1f}"
        lines.append(f"| {f.step} | {f.unit} | {f.boxwood:.3g} | {peer} | {ratio} | {f.note} |")
    return "\n".join(lines) + "\n"


def plot(path: Path, figures: list[Figure]) -> None:
    """Bars of how many times as long RELION takes."""
    from matplotlib.figure import Figure as Picture

    shown = [f for f in figures if f.ratio is not None]
    if not shown:
        return
    picture = Picture(figsize=(7, 0.6 * len(shown) + 1), layout="constrained")
    axes = picture.subplots()
    bars = axes.barh([f.step for f in shown], [f.ratio for f in shown], color="#1f6f8b")
    axes.bar_label(bars, [f"{f.ratio:.0f}" for f in shown], padding=3)
    axes.set_xscale("log")
    axes.set_xlim(1, 3 * max(f.ratio or 1 for f in shown))
    axes.invert_yaxis()
    axes.set_xlabel("CPU time of RELION over that of boxwood, the same work")
    picture.savefig(path, dpi=120)


def _best(work: Callable[[], object]) -> float:
    """CPU seconds of the best of three."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"))
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    unknown = set(chosen.steps) - set(STEPS)
    if unknown:
        parser.error(f"there is no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    chosen.out.mkdir(parents=True, exist_ok=True)
    about, figures = machine(), []
    for step in chosen.steps or STEPS:
        print(f"{step} …", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            figures += STEPS[step](Path(folder), chosen.quick)
    text = table(about, figures)
    (chosen.out / "results.md").write_text(text)
    (chosen.out / "results.json").write_text(
        json.dumps({"machine": about, "figures": [asdict(f) for f in figures]}, indent=1)
    )
    plot(chosen.out / "results.png", figures)
    print(text)


if __name__ == "__main__":
    main()
