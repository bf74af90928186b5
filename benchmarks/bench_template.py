"""Picking with templates beside RELION 3.1.3's: what is found, what is not, and the time.

python benchmarks/bench_template.py [--data ../shared/data] [--micrographs 1] [--seed 2000]
                                    [--only simulated|apoferritin] [--plot picks.png]

All get the same references: projections of the simulated molecule, or the average of the picks of the half of
the apoferritin micrographs that is not scored. A hit lies within a quarter of the particle's diameter (17 px
for apoferritin), one per particle. RELION's score depends on its threshold, so the one that suits it best,
with the truth in view, is printed beside the form's 0.05; ours has the threshold it finds by itself. Times
are processor seconds of one thread, RELION's with what it reads and writes.
"""

import argparse
import resource
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_adaptive import BETA_GAL_ANGSTROM, BETA_GAL_PIXEL, DataSet, agreed, apoferritin
from matplotlib import pyplot as plt
from real_data import DATA
from scipy.ndimage import gaussian_filter

from boxwood.execution.blas import one_blas_thread
from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import write_stack
from boxwood.picking.adaptive import learn_model, pick_adaptive
from boxwood.picking.agreement import matched
from boxwood.picking.templates import (
    Turned,
    find_template_peaks,
    learn_matched,
    pick_matched,
    prepare_references,
    ratio_maps,
)
from boxwood.picking.templates.relion_noise import numbers_for
from boxwood.simulate.gaussians import beta_galactosidase
from boxwood.simulate.micrographs import simulate_micrograph
from boxwood.simulate.rotations import random_orientations, rotation_matrices
from boxwood.typing import AnyArray, DoubleArray, FloatArray

SETS = (("SNR 0.06", 0.06, 150), ("SNR 0.02", 0.02, 180), ("SNR 0.01", 0.01, 100))
FIRST_SEED = 2000  # those below were looked at while the method was made
THRESHOLDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.0, 2.5, 3.0, 4.0)
STAR = """
data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographPixelSize #3
_rlnVoltage #4
_rlnSphericalAberration #5
_rlnAmplitudeContrast #6
one 1 {pixel} 200 1.4 0.1

data_micrographs

loop_
_rlnMicrographName #1
_rlnOpticsGroup #2
_rlnDefocusU #3
_rlnDefocusV #4
_rlnDefocusAngle #5
"""


@dataclass
class Task:
    """A data set with references for it."""

    data: DataSet
    ctf_rows: list[DoubleArray | None]
    references: FloatArray
    reference_pixel: float
    diameter: float
    angle: float = 5.0
    lowpass: float = 20.0


def simulated(count: int, views: int, seed: int) -> list[Task]:
    rng = np.random.default_rng(11)
    angles = random_orientations(views, rng)
    references = beta_galactosidase().project(rotation_matrices(angles), 80, 3.54)
    references *= 0.5 / references.std()
    tasks = []
    for i, (name, snr, particles) in enumerate(SETS):
        made = [simulate_micrograph(particles=particles, snr=snr, seed=(seed + j, i)) for j in range(count)]
        truth = [np.column_stack([m.x, m.y]) for m in made]
        data = DataSet(
            name, [m.image for m in made], BETA_GAL_PIXEL, truth, BETA_GAL_ANGSTROM / 4 / BETA_GAL_PIXEL, 0.0
        )
        tasks.append(Task(data, [m.ctf_row for m in made], references, 3.54, 200.0))
    return tasks


def ours(task: Task) -> tuple[list[DoubleArray], float, float]:
    """Places, and processor seconds of learning and per micrograph."""
    data, start = task.data, time.process_time()
    model = learn_matched(
        data.images[:4],
        [data.pixel_size] * len(data.images[:4]),
        task.ctf_rows[:4],
        task.references,
        task.reference_pixel,
        lowpass=task.lowpass,
        angular_sampling=task.angle,
        threads=1,
    )
    learned = time.process_time() - start
    start = time.process_time()
    picks = [
        pick_matched(image, data.pixel_size, model, row, threads=1)
        for image, row in zip(data.images, task.ctf_rows, strict=True)
    ]
    seconds = (time.process_time() - start) / len(picks)
    return [np.column_stack([p.x, p.y]) for p in picks], learned, seconds


def relion(task: Task) -> tuple[list[DoubleArray], float]:
    """RELION's picks at the form's threshold, (n, 5) with class, figure of merit and angle; seconds each."""
    data, found = task.data, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "out").mkdir()
        rows = ""
        for i, (image, row) in enumerate(zip(data.images, task.ctf_rows, strict=True)):
            write_stack(folder / f"m{i}.mrc", image, data.pixel_size)
            defocus = (10000.0, 10000.0, 0.0) if row is None else row[:3]
            rows += f"m{i}.mrc 1 {defocus[0]:.6f} {defocus[1]:.6f} {defocus[2]:.6f}\n"
        (folder / "micrographs.star").write_text(STAR.format(pixel=data.pixel_size) + rows)
        write_stack(folder / "references.mrcs", task.references, task.reference_pixel)
        command = ["relion_autopick", "--i", "micrographs.star", "--odir", "out/", "--pickname", "autopick"]
        command += ["--ref", "references.mrcs", "--angpix_ref", str(task.reference_pixel), "--invert"]
        command += ["--ang", str(task.angle), "--lowpass", str(task.lowpass), "--shrink", "0"]
        command += ["--particle_diameter", str(task.diameter), "--threshold", "0.05"]
        command += ["--min_distance", str(distance(task)), "--max_stddev_noise", "-1"]
        command += [] if task.ctf_rows[0] is None else ["--ctf"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        labels = ["CoordinateX", "CoordinateY", "ClassNumber", "AutopickFigureOfMerit", "AnglePsi"]
        for i in range(len(data.images)):
            table = read_coordinates(folder / f"out/m{i}_autopick.star")
            found.append(table[[f"rln{label}" for label in labels]].to_numpy(np.float64))
    return found, seconds / len(data.images)


def distance(task: Task) -> float:
    """Between picks, for RELION, Angstrom: as far as ours are apart."""
    return round(0.5 * task.diameter)


def same_score(task: Task) -> tuple[list[DoubleArray], list[AnyArray], float]:
    """RELION's score by our code: picks as `relion` has them; maps' picks at all thresholds; seconds each."""
    data, start = task.data, time.process_time()
    references = prepare_references(
        task.references, task.reference_pixel, data.pixel_size, mask_diameter=task.diameter
    )
    shape = data.images[0].shape
    turned = Turned(references, (shape[0], shape[1]), angular_sampling=task.angle, lowpass=task.lowpass)
    found, by_threshold = [], []
    geometry = {"box_px": references.box_px, "radius_px": references.radius_px}
    for i, (image, row) in enumerate(zip(data.images, task.ctf_rows, strict=True)):
        beyond = turned.side**2 - image.size
        numbers = numbers_for(1, i, beyond + len(turned) * turned.samples)
        maps = ratio_maps(
            image,
            turned,
            ctf_row=row,
            outside=numbers[:beyond],
            noise=numbers[beyond:].reshape(len(turned), -1),
            threads=1,
        )
        p = find_template_peaks(maps, threshold=0.05, min_distance=distance(task), **geometry)
        found.append(np.column_stack([p.x, p.y, p.template + 1, p.fom, p.psi_deg]))
        if not i:
            seconds = time.process_time() - start
        others = [
            find_template_peaks(maps, threshold=t, min_distance=distance(task), **geometry)
            for t in THRESHOLDS
        ]
        by_threshold.append([np.column_stack([p.x, p.y]) for p in others])
    return found, [list(places) for places in zip(*by_threshold, strict=True)], seconds


def check_agreement(mine: list[DoubleArray], theirs: list[DoubleArray]) -> float:
    """Share of RELION's picks that ours has at the same place, with class, angle and figure of merit."""
    same = total = 0
    for a, b in zip(mine, theirs, strict=True):
        near = np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]) < 0.01
        i, j = np.nonzero(near)
        alike = (a[i, 2] == b[j, 2]) & (np.abs(a[i, 4] - b[j, 4]) < 0.01)
        same += int((alike & np.isclose(a[i, 3], b[j, 3], rtol=2e-3)).sum())
        total += len(b)
    if same < 0.99 * total:
        raise SystemExit(f"only {same} of RELION's {total} picks are met")
    return same / max(total, 1)


def compare(task: Task) -> tuple[list[DoubleArray], list[DoubleArray]]:
    data = task.data
    print(f"\n{data.name}: {sum(map(len, data.truth))} particles on {len(data.images)} micrographs")
    places, learned, seconds = ours(task)
    f1, words = agreed(places, data)
    print(f"  whitened           {words}; {seconds:.2f} s each, learned in {learned:.1f} s", flush=True)
    mine, by_threshold, our_seconds = same_score(task)
    scored = [(agreed(found, data), t) for found, t in zip(by_threshold, THRESHOLDS, strict=True)]
    (best, best_words), threshold = max(scored, key=lambda entry: entry[0][0])
    print(f"  RELION's score at {threshold:g} {best_words}; by our code {our_seconds:.2f} s")
    print(f"  {'better' if f1 > best else 'NOT BETTER'} than RELION's score at its best threshold")
    theirs = [places[:, :2] for places in mine]
    if shutil.which("relion_autopick"):
        found, their_seconds = relion(task)
        theirs = [picks[:, :2] for picks in found]
        print(f"  RELION 3.1.3 at 0.05 {agreed(theirs, data)[1]}; {their_seconds:.2f} s each")
        print(
            f"  picks of RELION that its score gives in our code: {100 * check_agreement(mine, found):.1f} %"
        )
        print(
            f"  times: RELION {their_seconds / seconds:.1f} times ours, {their_seconds / our_seconds:.1f} "
            "times its score by our code"
        )
    best_places = by_threshold[THRESHOLDS.index(threshold)]
    return places, best_places


def adaptive_for_comparison(task: Task) -> None:
    data = task.data
    model = learn_model(data.images, [data.pixel_size] * len(data.images), min_diameter=150, max_diameter=180)
    if model is not None:
        picks = [pick_adaptive(image, data.pixel_size, model) for image in data.images]
        print(f"  adaptive           {agreed([np.column_stack([p.x, p.y]) for p in picks], data)[1]}")


def plot(task: Task, places: list[DoubleArray], theirs: list[DoubleArray], path: Path) -> None:
    """Picks of both on the first micrograph: right, false, and particles missed."""
    data = task.data
    image = gaussian_filter(data.images[0], 8 if data.pixel_size < 1 else 2)
    middle, spread = np.median(image), image.std()
    figure, axes = plt.subplots(1, 2, figsize=(12, 6.2), layout="constrained")
    names = ("RELION's score, at the threshold that suits it best", "whitened")
    for axis, name, picks in zip(axes, names, (theirs[0], places[0]), strict=True):
        axis.imshow(image, cmap="gray", vmin=middle - 3 * spread, vmax=middle + 3 * spread)
        hit = matched(picks, data.truth[0], data.hit_px)
        missed = ~np.isin(np.arange(len(data.truth[0])), hit[hit >= 0])
        kinds = [(picks[hit >= 0], "tab:green", "particles"), (picks[hit < 0], "tab:red", "false"),
                 (data.truth[0][missed], "tab:orange", "missed")]  # fmt: skip
        for where, colour, label in kinds:
            axis.scatter(*where.T, s=60, facecolors="none", edgecolors=colour, linewidths=1.2,
                         label=f"{label}: {len(where)}")  # fmt: skip
        axis.set(title=name, xticks=[], yticks=[])
        axis.legend(loc="lower center", ncols=3, bbox_to_anchor=(0.5, -0.08), frameon=False)
    figure.savefig(path, dpi=80, bbox_inches="tight")


def apoferritin_task(folder: Path) -> Task:
    """References from LoG picks of the other half: a plain average, for the particle is round."""
    from boxwood.extraction import extract_particles
    from boxwood.io.mrc import read_image

    data = apoferritin(folder)
    boxes = []
    for file in sorted((folder / "apoferritin10146").glob("*.png"))[0::2]:
        image = np.ascontiguousarray(read_image(file).data, np.float32)
        model = learn_model([image], [data.pixel_size], min_diameter=90, max_diameter=110)
        if model is None:
            continue
        picks = pick_adaptive(image, data.pixel_size, model)
        cut = extract_particles(image, picks.x, picks.y, pixel_size_angstrom=data.pixel_size, box_size=100,
                                background_diameter=85, invert_contrast=True)  # fmt: skip
        boxes.append(cut.images[cut.faults == 0])
    average = np.concatenate(boxes).mean(axis=0)[None]
    return Task(data, [None] * len(data.images), average, data.pixel_size, 120.0, angle=360.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--micrographs", type=int, default=1, help="simulated ones per set")
    parser.add_argument("--seed", type=int, default=FIRST_SEED, help="of the first simulated one")
    parser.add_argument("--views", type=int, default=6, help="references")
    parser.add_argument("--plot", type=Path, help="draw both on one of the apoferritin micrographs")
    parser.add_argument("--only", choices=("simulated", "apoferritin"))
    chosen = parser.parse_args()
    if chosen.only in (None, "simulated"):
        for task in simulated(chosen.micrographs, chosen.views, chosen.seed):
            compare(task)
            adaptive_for_comparison(task)
    if chosen.only in (None, "apoferritin") and chosen.data.is_dir():
        task = apoferritin_task(chosen.data)
        places, theirs = compare(task)
        if chosen.plot:
            plot(task, places, theirs, chosen.plot)


if __name__ == "__main__":
    with one_blas_thread():  # which jobs keep to
        main()
