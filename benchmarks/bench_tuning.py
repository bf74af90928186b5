"""What tune-picking is worth: tuned on some micrographs, judged by the truth on others.

python benchmarks/bench_tuning.py [--data ../shared/data] [--only SET ...]
                                  [--methods log adaptive] [--folder FOLDER]

Every set is halved: tuning sees every other micrograph alone, without the truth, and F1 is that of the other
half. A hit lies within a quarter of the particle's diameter (17 px for apoferritin), one per particle. Beside
the tuned setting stand autopick's defaults with the particle's range (RELION's Laplacian of Gaussian picks
the same), and the best F1 that any setting of the grid reaches on the test half with the truth in view; the
regret is the difference. Controls have no particles: what is asked is a warning.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from quality_sets import ribosome
from real_data import DATA

from boxwood.io.coordinates import coordinate_path, read_coordinates
from boxwood.io.mrc import read_image, write_stack
from boxwood.io.particles import MicrographSet
from boxwood.io.star import read_star
from boxwood.jobs.api import Project
from boxwood.jobs.simulate import simulate_project
from boxwood.jobs.tune_picking import tuned_options
from boxwood.jobs.tuning_choice import choose
from boxwood.jobs.tuning_peaks import AdaptivePicker, LogPicker
from boxwood.picking.agreement import Agreement, agreement
from boxwood.picking.tuning import Particles
from boxwood.typing import DoubleArray

APOFERRITIN_PIXEL, APOFERRITIN_HIT = 1.5, 17.0
CONTROL_PIXEL = 8.0


@dataclass
class DataSet:
    """A folder with tune.star and test.star, and the truth about the micrographs of the latter, in pixels."""

    name: str
    folder: Path
    pixel_size: float
    diameter: float
    hit_px: float
    truth: dict[str, DoubleArray]


def halves(folder: Path) -> list[str]:
    """Write tune.star and test.star; the names in the latter."""
    whole = MicrographSet.read(folder / "micrographs_ctf.star")
    rows = np.arange(len(whole))
    whole.select(rows % 2 == 0).write(folder / "tune.star")
    whole.select(rows % 2 == 1).write(folder / "test.star")
    return [str(name) for name in whole.table["rlnMicrographName"][1::2]]


def apoferritin(data: Path, folder: Path) -> DataSet:
    source = data / "apoferritin10146"
    (folder / "Micrographs").mkdir(parents=True)
    names = []
    for file in sorted(source.glob("*.png")):
        names.append(f"Micrographs/{file.stem}.mrc")
        image = np.asarray(read_image(file).data, np.float32)
        write_stack(folder / names[-1], image, APOFERRITIN_PIXEL)
    write_micrographs(folder, names, APOFERRITIN_PIXEL)
    known = read_star(source / "truth.star")[""]
    xy = known[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(np.float64)
    of = known["rlnMicrographName"].to_numpy(str)
    truth = {name: xy[of == f"{Path(name).stem}.png"] for name in halves(folder)}
    title = "apoferritin (EMPIAR-10146)"
    return DataSet(title, folder, APOFERRITIN_PIXEL, 100.0, APOFERRITIN_HIT, truth)


def write_micrographs(folder: Path, names: Sequence[str], pixel_size: float) -> None:
    group = {"rlnOpticsGroupName": ["one"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [pixel_size]}
    table = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
    MicrographSet(pd.DataFrame(group), table).write(folder / "micrographs_ctf.star")


def ribosome_map(maps: Path, folder: Path) -> Path:
    """The map with a pixel size, which its header does not have."""
    folder.mkdir(parents=True)
    density = ribosome(maps)
    write_stack(folder / "ribosome.mrc", density.data, density.pixel_size_angstrom)
    return (folder / "ribosome.mrc").absolute()


def simulated(name: str, folder: Path, diameter: float, **options: object) -> DataSet:
    simulate_project(folder, micrographs=4, seed=77, **options)
    table = read_star(folder / "truth.star")
    known = next(t for t in table.values() if "rlnCoordinateX" in t)
    pixel = float(
        next(iter(MicrographSet.read(folder / "micrographs_ctf.star").pixel_size_of_groups().values()))
    )
    xy = known[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(np.float64)
    of = known["rlnMicrographName"].to_numpy(str)
    truth = {name: xy[of == name] for name in halves(folder)}
    return DataSet(name, folder, pixel, diameter, diameter / 4 / pixel, truth)


def f1(data: DataSet, job: Path) -> tuple[float, str]:
    total = Agreement()
    for name, truth in data.truth.items():
        picks = read_coordinates(coordinate_path(data.folder / job, name, "autopick"))
        xy = picks[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy(np.float64)
        total += agreement(xy, truth, data.hit_px)
    value = 2 * total.matched / max(1, total.picks + total.particles)
    return value, f"F1 {value:.3f} (precision {total.precision:.3f}, recall {total.recall:.3f})"


def best_of_grid(data: DataSet, chosen: dict, method: str, diameter: float, job: Path) -> float:
    """The best F1 of any setting on the test half, with the truth in view."""
    if method == "log":
        tried = diameter * 1.15 ** np.arange(-2, 5)
        picker = LogPicker(tried, {"micrographs": "test.star"})
    else:
        from boxwood.jobs.picking_model import read_model

        file = data.folder / job / "picking_model.star"
        picker = AdaptivePicker(read_model(file), file, {"micrographs": "test.star"})
    pixel = data.pixel_size
    lists = {n: picker.peaks(read_image(data.folder / n).data, n, pixel) for n in data.truth}
    known = {n: Particles(*(t.T * pixel), np.ones(len(t))) for n, t in data.truth.items()}
    choice = choose(picker, lists, known, data.hit_px * pixel)
    return float(choice.curve.f1[choice.best])


def compare(data: DataSet, methods: Sequence[str]) -> None:
    count = sum(map(len, data.truth.values()))
    print(f"\n{data.name}: {count} particles on {len(data.truth)} test micrographs")
    project = Project(data.folder)
    low, high = 0.9 * data.diameter, 1.1 * data.diameter
    for method in methods:
        usual = project.autopick(micrographs="test.star", method=method, min_diameter=low, max_diameter=high)
        found = f1(data, usual.output.relative_to(data.folder))[1]
        print(f"  {method}, {low:.0f}-{high:.0f} A as it is: {found}")
        for given in (data.diameter, None):
            start, cpu = time.perf_counter(), time.process_time()
            tuned = project.tune_picking(micrographs="tune.star", method=method, particle_diameter=given)
            seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
            chosen = tuned_options(tuned.files["tuned"]) | {"micrographs": "test.star"}
            picked = project.autopick(**chosen)
            value, words = f1(data, picked.output.relative_to(data.folder))
            job = tuned.output.relative_to(data.folder)
            known = tuned.values["particle_diameter_angstrom"]
            best = best_of_grid(data, chosen, method, known, job)
            told = f"diameter {known:.0f} A {'given' if given else 'learned'}"
            print(
                f"  {method}, tuned, {told}: {words}; best of the grid {best:.3f}, regret {best - value:.3f}"
            )
            print(f"      {seconds:.0f} s, {cpu:.0f} s of processor; {tuned.summary}", flush=True)


class Warnings:
    """Hears warnings."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def event(self, kind: str, **data: object) -> None:
        if kind == "warning":
            self.heard.append(str(data["text"]))


def controls(data: Path, folder: Path) -> None:
    print("\ncontrols without particles, each by itself")
    (folder / "Micrographs").mkdir(parents=True)
    for file in sorted((data / "micrographs/controls").glob("[2-5]*.png")):
        name = f"Micrographs/{file.name[:9]}.mrc"
        write_stack(folder / name, np.asarray(read_image(file).data, np.float32), CONTROL_PIXEL)
        write_micrographs(folder, [name], CONTROL_PIXEL)
        heard = Warnings()
        project = Project(folder, reporter=heard)
        tuned = project.tune_picking(micrographs="micrographs_ctf.star", particle_diameter=140)
        said = "warns" if any("look like particles" in text for text in heard.heard) else "NO WARNING"
        print(f"  {file.name[:9]}: {tuned.values['picks']} picks, {tuned.summary}; {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--only", nargs="*", default=["apoferritin", "betagal", "faint", "ribosome", "controls"]
    )
    parser.add_argument("--methods", nargs="*", default=["log", "adaptive"], choices=("log", "adaptive"))
    parser.add_argument("--folder", type=Path, help="keep everything there")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = chosen.folder or Path(temporary)
        maps = chosen.data / "maps"
        make = {
            "apoferritin": lambda to: apoferritin(chosen.data, to),
            "betagal": lambda to: simulated("beta-gal, SNR 0.06", to, 165.0, particles=60, snr=0.06),
            "faint": lambda to: simulated("beta-gal, SNR 0.02", to, 165.0, particles=200, snr=0.02),
            "ribosome": lambda to: simulated(
                "70S ribosome, SNR 0.1", to, 250.0, particles=60, snr=0.1, pixel_size=1.5,
                width=3000, height=3000, volume=ribosome_map(maps, to),
            ),
        }  # fmt: skip
        for name in chosen.only:
            if name == "controls":
                controls(chosen.data, root / name)
            else:
                compare(make[name](root / name), chosen.methods)


if __name__ == "__main__":
    main()
