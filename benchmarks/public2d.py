"""A public benchmark of 2D classification: fixed particles of known truth, scores for speed and quality.

python benchmarks/public2d.py make FOLDER [--size small|medium|large]
python benchmarks/public2d.py run FOLDER RESULT_data.star -- COMMAND ...
python benchmarks/public2d.py score FOLDER RESULT_data.star

make writes particles.star and stacks that RELION 3.1 and all that came after can read, and truth.star, which
no program under test may read. run starts COMMAND in FOLDER, measures time by the clock, CPU time and memory,
and scores what it wrote; score is for results that are there already. RESULT_data.star needs rlnImageName,
rlnClassNumber, rlnAnglePsi and rlnOriginXAngst/YAngst. Rules and definitions: docs/benchmark2d.md.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from class_frc import half_sums, resolution, ring_correlation
from quality_sets import TrueParticles, compare

from boxwood.io.particles import ParticleSet, ctf_rows
from boxwood.io.stacks import StackWriter
from boxwood.io.star import read_star, write_star
from boxwood.simulate import SimulatedSource

_STACK = 10_000  # images of one file
_MICROGRAPH = 200  # particles of one micrograph
_FIELD_ANGSTROM = 64 * 3.54
_MASK_ANGSTROM = 200.0
# In the plane; no grid of angles that a program may search has many of them in common with it.
_ANGLES = 97
# Images whose halves are compared: a tenth of a percent of a correlation is settled by fewer.
_MEASURED = 20_000


@dataclass(frozen=True)
class Size:
    """One of the fixed sets. A fifth of the images are empty ice; all others are one of so many views."""

    particles: int
    box: int
    views: int
    snr: float
    seed: int
    junk: float = 0.2
    max_offset_angstrom: float = 18.0

    @property
    def pixel_angstrom(self) -> float:
        return _FIELD_ANGSTROM / self.box


SIZES = {
    "tiny": Size(600, 32, 6, 0.3, 20260),
    "small": Size(5_000, 64, 40, 0.08, 20261),
    "medium": Size(50_000, 96, 80, 0.05, 20262),
    "large": Size(500_000, 128, 160, 0.03, 20263),
}


def make(folder: Path, size: Size) -> None:
    """Write the set."""
    folder.mkdir(parents=True, exist_ok=True)
    n, offset = size.particles, size.max_offset_angstrom / size.pixel_angstrom
    real = SimulatedSource(
        n,
        size.box,
        size.pixel_angstrom,
        classes=size.views,
        angles=_ANGLES,
        snr=size.snr,
        max_offset_px=offset,
        seed=size.seed,
    )
    empty = SimulatedSource(
        n, size.box, size.pixel_angstrom, classes=1, angles=1, snr=1e-9, seed=size.seed + 1000
    )
    junk = np.random.default_rng([size.seed, 1]).random(n) < size.junk
    names = [f"{i % _STACK + 1:06d}@particles{i // _STACK:03d}.mrcs" for i in range(n)]
    for first in range(0, n, _STACK):
        path = folder / f"particles{first // _STACK:03d}.mrcs"
        with StackWriter(path, size.pixel_angstrom) as writer:
            for at in range(first, min(first + _STACK, n), 500):
                part = np.arange(at, min(at + 500, first + _STACK, n))
                images = real.read(part)
                images[junk[part]] = empty.read(part[junk[part]])
                writer.append(images)
        print(f"{min(first + _STACK, n)} of {n} images", flush=True)
    rows = real.ctf_rows
    table = pd.DataFrame({"rlnImageName": names})
    table["rlnMicrographName"] = [f"micrograph{i // _MICROGRAPH:05d}.mrc" for i in range(n)]
    table["rlnDefocusU"], table["rlnDefocusV"], table["rlnDefocusAngle"] = rows[:, 0], rows[:, 1], rows[:, 2]
    table["rlnOpticsGroup"] = 1
    optics = {
        "rlnOpticsGroupName": "opticsGroup1",
        "rlnOpticsGroup": 1,
        "rlnVoltage": rows[0, 4],
        "rlnSphericalAberration": rows[0, 5],
        "rlnAmplitudeContrast": rows[0, 6],
        "rlnImagePixelSize": size.pixel_angstrom,
        "rlnImageSize": size.box,
        "rlnImageDimensionality": 2,
    }
    ParticleSet(pd.DataFrame([optics]), table).write(folder / "particles.star")
    truth = pd.DataFrame({"rlnImageName": names, "boxwoodView": np.where(junk, -1, real.class_index)})
    truth["rlnAnglePsi"] = real.psi_deg
    for axis, name in enumerate(("rlnOriginXAngst", "rlnOriginYAngst")):
        truth[name] = real.offsets_px[:, axis] * size.pixel_angstrom
    write_star(folder / "truth.star", {"": truth})


def score(folder: Path, result: Path) -> dict[str, float]:
    """What a classification found of the truth; a particle that it leaves out is in no class."""
    particles = ParticleSet.read(folder / "particles.star")
    pixel = float(particles.pixel_sizes()[0])
    truth = next(iter(read_star(folder / "truth.star").values()))
    found = next(t for t in read_star(result).values() if "rlnClassNumber" in t)
    missing = {"rlnImageName", "rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst"} - set(found)
    if missing:
        sys.exit(f"{result} lacks {', '.join(sorted(missing))}")
    names = found["rlnImageName"].astype(str).map(_short)
    found = found.set_axis(names, axis=0)
    if not found.index.is_unique:
        sys.exit(f"{result} has particles twice")
    there = truth["rlnImageName"].astype(str).isin(found.index).to_numpy()
    if not there.any():
        sys.exit(f"no image of {result} is one of {folder}: keep rlnImageName")
    found = found.loc[truth["rlnImageName"].astype(str)[there]]
    n = len(truth)
    label, psi, offset = np.zeros(n, int), np.zeros(n), np.zeros((n, 2))
    label[there] = found["rlnClassNumber"].to_numpy(int)
    psi[there] = found["rlnAnglePsi"].to_numpy(float)
    offset[there] = found[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy(float) / pixel
    view = truth["boxwoodView"].to_numpy(int)
    true_offset = truth[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy(float) / pixel
    true = TrueParticles(
        np.empty((0, 0, 0)), np.empty((0, 9)), view, truth["rlnAnglePsi"].to_numpy(float), true_offset, pixel,
        _MASK_ANGSTROM, int(view.max()) + 1,
    )  # fmt: skip
    agreement = compare(true, label, psi, offset)
    halves = _halves(particles, label, psi, offset)
    return {
        "particles": n,
        "left_out": int((label == 0).sum()),
        "purity": agreement.purity,
        "mutual_information": agreement.mutual_information,
        "classes": agreement.populated,
        "psi_error_deg": agreement.psi_error_deg,
        "offset_error_angstrom": agreement.offset_error_px * pixel,
        "junk_auc": _junk_auc(label, view),
        "resolution_angstrom": halves,
    }


def _short(name: str) -> str:
    """An image's name without the folders that a program may have put before its file."""
    number, _, file = name.partition("@")
    return f"{int(number):06d}@{Path(file).name}"


def _junk_auc(label: np.ndarray, view: np.ndarray) -> float:
    """Area under the curve of telling junk by the share of it in its class, ties counting half.

    It is what somebody who judges whole classes without error could reach.
    """
    share = np.bincount(label, view < 0) / np.maximum(np.bincount(label), 1)
    rank = pd.Series(share[label]).rank().to_numpy()
    bad = view < 0
    return float((rank[bad].sum() - bad.sum() * (bad.sum() + 1) / 2) / (bad.sum() * (~bad).sum()))


def _halves(particles: ParticleSet, label: np.ndarray, psi: np.ndarray, offset: np.ndarray) -> float:
    """Resolution at FRC = 0.5 of even against odd members, in the mean over particles (as frequencies)."""
    part = np.arange(len(label))[:: -(-len(label) // _MEASURED)]
    pixel = float(particles.pixel_sizes()[0])
    images, rows = particles.images().read(part), ctf_rows(particles)[part]
    count = int(label.max()) + 1
    sums = half_sums(images, rows, pixel, _MASK_ANGSTROM, label[part] - 1, psi[part], offset[part], count - 1)
    reached = 1 / resolution(np.nan_to_num(ring_correlation(sums)), pixel, 0.5)
    members = np.bincount(label[part][label[part] > 0] - 1, minlength=count - 1)
    return float(members.sum() / (members @ reached))


def run(folder: Path, result: Path, command: list[str]) -> dict[str, float]:
    """Measure a command, and what it found."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{command[0]} ended with {done.returncode}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    measured = {"wall_s": wall, "cpu_s": cpu, "memory_gib": after.ru_maxrss / 2**20}
    return measured | score(folder, folder / result)


def main() -> None:
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    arguments, command = words[:at], words[at + 1 :]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=("make", "run", "score"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("result", type=Path, nargs="?")
    parser.add_argument("--size", choices=SIZES, default="small")
    chosen = parser.parse_args(arguments)
    if chosen.action == "make":
        print(json.dumps(asdict(SIZES[chosen.size])))
        make(chosen.folder, SIZES[chosen.size])
        return
    if chosen.result is None or (chosen.action == "run" and not command):
        parser.error(
            f"{chosen.action} needs the result's file" + " and a command after --" * bool(not command)
        )
    found = run(chosen.folder, chosen.result, command) if command else score(chosen.folder, chosen.result)
    for name, value in found.items():
        print(f"{name:24s} {value:10.4g}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
