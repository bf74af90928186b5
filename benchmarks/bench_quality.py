"""Measure how good class averages are, on real particles and on simulated ones.

python benchmarks/bench_quality.py real [--seeds 1 2 3] [--particles COUNT] [--settings NAME=VALUE ...]
python benchmarks/bench_quality.py files RUN_FOLDER ...
python benchmarks/bench_quality.py simulated [--sets betagal ribosome hard mixture] [--seeds 1 2 3]
                                             [--peer FOLDER] [--settings NAME=VALUE ...]

real: classifies beta-galactosidase (2374 particles, or COUNT of them drawn at random, K = 50,
25 iterations, mask 200 Angstrom) and compares the averages with projections of its map
(map_agreement.py), and even with odd particles of every class (class_frc.py). files: the same for
folders with run_it025_data.star, _model.star and _classes.mrcs of boxwood or RELION. simulated: purity,
normalised mutual information, and errors of angles and offsets against the truth (quality_sets.py);
with --peer, RELION's relion_refine classifies the set of seed 1, too, in FOLDER, unless its results are
there already. Settings are fields of Class2DParameters. Data: ../shared/data beside the project or
$BOXWOOD_DATA.
"""

import argparse
import subprocess
import time
from ast import literal_eval
from pathlib import Path
from typing import Any

import numpy as np
from class_frc import half_sums, resolution, ring_correlation
from map_agreement import MapAgreement
from quality_sets import SETS, Found, TrueParticles, beta_galactosidase, compare, simulated_set
from real_data import DATA

from boxwood.class2d import IterationResult, classify2d
from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet, ctf_rows
from boxwood.io.star import read_star

ITERATIONS = 25


class RealParticles:
    """The tutorial's particles, and what their averages are measured by."""

    def __init__(self, count: int | None = None) -> None:
        particles = ParticleSet.read(DATA / "bgal10204/particles.star")
        self.pixel_size = float(particles.pixel_sizes()[0])
        chosen = np.arange(len(particles))
        if count is not None:
            chosen = np.sort(np.random.default_rng(1).choice(chosen, count, replace=False))
        self.images = particles.images().read(chosen)
        self.rows = ctf_rows(particles)[chosen]
        names = particles.table["rlnMicrographName"].to_numpy()[chosen]
        _, self.micrographs = np.unique(names, return_inverse=True)
        box = self.images.shape[1]
        self.agreement = MapAgreement(beta_galactosidase(DATA / "maps"), box, self.pixel_size, 200.0)

    def classify(self, settings: dict[str, Any]) -> tuple[IterationResult, float]:
        """The last iteration, and CPU seconds."""
        start = time.process_time()
        *_, result = classify2d(
            self.images, self.rows, pixel_size_angstrom=self.pixel_size, micrographs=self.micrographs,
            threads=1, **settings,
        )  # fmt: skip
        return result, time.process_time() - start

    def report(
        self, name: str, averages: np.ndarray, shares: np.ndarray,
        found: np.ndarray, psi_deg: np.ndarray, offset_px: np.ndarray,
    ) -> None:  # fmt: skip
        count = np.bincount(found[found >= 0], minlength=len(shares))
        halves = half_sums(
            self.images, self.rows, self.pixel_size, 200.0, found, psi_deg, offset_px, len(shares)
        )
        correlation = np.nan_to_num(ring_correlation(halves))
        at_half = np.sort(resolution(correlation, self.pixel_size, 0.5))
        size = self.pixel_size * self.images.shape[1]
        rings = [round(size / d) for d in (30, 20, 17)]
        frc = count @ correlation[:, rings] / count.sum()
        print(f"{name}: {self.agreement(averages, shares)}; {(count > 0).sum()} populated, largest "
              f"{count.max()}; FRC at 30, 20, 17 Angstrom {frc[0]:.2f} {frc[1]:.2f} {frc[2]:.2f}; FRC = 0.5 "
              f"at {at_half[0]:.1f} (best), {at_half[9]:.1f} (tenth) Angstrom", flush=True)  # fmt: skip


def assignments(star: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class from 0, psi in degrees, offset in pixels, from a data.star of boxwood or RELION.

    RELION sorts particles by micrograph; here they are in the order of their images.
    """
    particles = ParticleSet.read(star)
    table = particles.table
    offset = table[["rlnOriginXAngst", "rlnOriginYAngst"]].to_numpy(float) / particles.pixel_sizes()[:, None]
    images = table["rlnImageName"].astype(str).str.split("@", n=1, expand=True)
    order = np.lexsort((images[0], images[1]))
    found = table["rlnClassNumber"].to_numpy(int) - 1, table["rlnAnglePsi"].to_numpy(float), offset
    return found[0][order], found[1][order], found[2][order]


def real(seeds: list[int], count: int | None, settings: dict[str, Any]) -> None:
    particles = RealParticles(count)
    for seed in seeds:
        result, seconds = particles.classify({"seed": seed, **settings})
        a = result.assignments
        name = f"seed {seed}, {seconds:.0f} s CPU"
        particles.report(
            name, result.class_averages, result.model.shares, a.class_index, a.psi_deg, a.offset_px
        )


def files(folders: list[Path]) -> None:
    particles = RealParticles()
    for folder in folders:
        root = str(folder / f"run_it{ITERATIONS:03d}_")
        shares = read_star(root + "model.star")["model_classes"]["rlnClassDistribution"].to_numpy(float)
        averages = read_stack(root + "classes.mrcs")[:]
        particles.report(folder.name, averages, shares, *assignments(Path(root + "data.star")))


def simulated(names: list[str], seeds: list[int], peer: Path | None, settings: dict[str, Any]) -> None:
    for name in names:
        everything = []
        for seed in seeds:
            particles = simulated_set(name, DATA / "maps", seed)
            options = {"classes": particles.classes, "mask_diameter_angstrom": particles.mask_diameter}
            start = time.process_time()
            *_, result = classify2d(
                particles.images, particles.rows, pixel_size_angstrom=particles.pixel_size,
                threads=1, **{**options, "seed": seed, **settings},
            )  # fmt: skip
            a = result.assignments
            everything.append(compare(particles, a.class_index, a.psi_deg, a.offset_px))
            print(
                f"{name} seed {seed}, {time.process_time() - start:.0f} s CPU: {everything[-1]}", flush=True
            )
        mean = [float(np.mean([getattr(f, field) for f in everything])) for field in vars(everything[0])]
        print(f"{name} mean of {len(seeds)}: {Found(*mean)}")
        if peer:
            particles = simulated_set(name, DATA / "maps", 1)
            found = assignments(relion(particles, peer / name))
            print(f"{name} RELION: {compare(particles, *found)}", flush=True)


def relion(particles: TrueParticles, folder: Path) -> Path:
    """The data.star of relion_refine with the tutorial's settings."""
    last = folder / f"peer/run_it{ITERATIONS:03d}_data.star"
    if not last.exists():
        particles.write(folder)
        (folder / "peer").mkdir(exist_ok=True)
        settings = f"""--o peer/run --i particles.star --iter {ITERATIONS} --K {particles.classes}
            --particle_diameter {particles.mask_diameter} --tau2_fudge 2 --ctf --flatten_solvent --zero_mask
            --center_classes --oversampling 1 --psi_step 12 --offset_range 5 --offset_step 2 --norm --scale
            --pad 2 --pool 3 --preread_images --dont_combine_weights_via_disc --j 1 --random_seed 1"""
        subprocess.run(["relion_refine", *settings.split()], cwd=folder, check=True, capture_output=True)
    return last


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("real", "files", "simulated"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--particles", type=int)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--settings", nargs="+", default=[], metavar="NAME=VALUE")
    chosen = parser.parse_args()
    if chosen.what == "files":
        return files(chosen.folders)
    settings = {name: _value(text) for name, text in (item.split("=", 1) for item in chosen.settings)}
    if chosen.what == "real":
        real(chosen.seeds, chosen.particles, settings)
    else:
        simulated(chosen.sets, chosen.seeds, chosen.peer, settings)


def _value(text: str) -> Any:
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


if __name__ == "__main__":
    main()
