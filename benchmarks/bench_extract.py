"""Time particle extraction on each instruction set, after checking its answer, beside RELION.

python benchmarks/bench_extract.py [--micrographs 3] [--shape 3838 3710] [--particles 170] [--box 256]
                                   [--rescale 64] [--background 200] [--job 25]

Seconds are CPU time, user and system, of one thread. RELION's and the last line of ours include files. The
job extracts from `--job` micrographs and is timed by the clock, too, beside reading their bytes.
"""

import argparse
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from throughput import FEW, report

from boxwood import _core
from boxwood.extraction import ExtractedParticles, extract_particles
from boxwood.io.coordinates import coordinate_path, write_coordinates, write_coords_suffix
from boxwood.io.mrc import StackWriter, read_image, read_stack, write_stack
from boxwood.io.star import write_star
from boxwood.typing import DoubleArray, FloatArray

PIXEL = 0.885


def simulated(shape: tuple[int, int], seed: int) -> FloatArray:
    """Noise on a gradient, as far from grey level 0 as counts are."""
    rng = np.random.default_rng(seed)
    image = rng.standard_normal(shape, dtype=np.float32) * np.float32(15) + np.float32(1000)
    return image + np.linspace(0, 100, shape[1], dtype=np.float32)


def check(image: FloatArray, x: DoubleArray, y: DoubleArray, options: dict[str, Any]) -> None:
    """Stop if images are not the float64 reference's to a tenth of what they may differ from RELION's."""
    got = extract_particles(image, x, y, **options).images
    want = extract_particles(image, x, y, backend="reference", **options).images
    np.testing.assert_allclose(got, want, atol=1e-5)


def ours(folder: Path, names: list[str], places: list[DoubleArray], options: dict[str, Any]) -> float:
    """CPU seconds to read micrographs and write stacks."""
    start = time.process_time()
    for name, place in zip(names, places, strict=True):
        found = extract_particles(read_image(folder / name).data, *place, **options)
        with StackWriter(folder / f"ours_{name}s", found.pixel_size_angstrom) as writer:
            writer.append(found.images)
    return time.process_time() - start


def project(folder: Path, names: list[str], places: list[DoubleArray], table: str) -> None:
    """Write a micrographs STAR file and a picking job's coordinates in `picks`."""
    optics = {"rlnOpticsGroupName": ["one"], "rlnOpticsGroup": [1], "rlnMicrographPixelSize": [PIXEL]}
    optics |= {"rlnVoltage": [300.0], "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1]}
    micrographs = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
    write_star(folder / table, {"optics": pd.DataFrame(optics), "micrographs": micrographs})
    for name, (x, y) in zip(names, places, strict=True):
        path = folder / coordinate_path("picks", name, "autopick")
        path.parent.mkdir(exist_ok=True)
        write_coordinates(path, pd.DataFrame({"rlnCoordinateX": x, "rlnCoordinateY": y}))
    write_coords_suffix(folder / "picks", "autopick", table)


def throughput(
    folder: Path, images: list[FloatArray], places: list[DoubleArray], chosen: argparse.Namespace
) -> None:
    """Print how many micrographs the job extract does in a second."""
    folder.mkdir()
    names = [f"job{i}.mrc" for i in range(chosen.job)]
    for i, name in enumerate(names):
        write_stack(folder / name, images[i % len(images)], PIXEL)
    there = [places[i % len(places)] for i in range(chosen.job)]
    project(folder, names[:FEW], there[:FEW], "few.star")
    project(folder, names, there, "all.star")
    options = {"coordinates": folder / "picks/coords_suffix_autopick.star", "box_size": chosen.box}
    options |= {"rescale": chosen.rescale, "background_diameter": chosen.background}
    report("extract", folder, [folder / name for name in names], options)


def relion(folder: Path, names: list[str], places: list[DoubleArray], chosen: argparse.Namespace) -> float:
    """CPU seconds of relion_preprocess for the same."""
    (folder / "relion").mkdir()
    project(folder, names, places, "micrographs.star")
    radius = int(chosen.background / 2 * chosen.rescale / chosen.box)
    command = ["relion_preprocess", "--i", "micrographs.star", "--coord_dir", "picks/"]
    command += [
        "--coord_suffix",
        "_autopick.star",
        "--part_dir",
        "relion/",
        "--part_star",
        "relion/particles.star",
    ]
    command += ["--extract", "--extract_size", str(chosen.box), "--scale", str(chosen.rescale), "--norm"]
    command += ["--bg_radius", str(radius), "--invert_contrast"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def timed(image: FloatArray, place: DoubleArray, options: dict[str, Any]) -> tuple[float, ExtractedParticles]:
    """CPU seconds of the best of five runs, and the particles."""
    seconds = []
    for _ in range(5):
        start = time.process_time()
        found = extract_particles(image, *place, **options)
        seconds.append(time.process_time() - start)
    return min(seconds), found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--micrographs", type=int, default=3)
    parser.add_argument("--shape", type=int, nargs=2, default=(3838, 3710))
    parser.add_argument("--particles", type=int, default=170)
    parser.add_argument("--box", type=int, default=256)
    parser.add_argument("--rescale", type=int, default=64)
    parser.add_argument("--background", type=float, default=200)
    parser.add_argument("--job", type=int, default=25, help="micrographs of the job")
    chosen = parser.parse_args()
    options = {
        "pixel_size_angstrom": PIXEL,
        "box_size": chosen.box,
        "rescale": chosen.rescale,
        "background_diameter": chosen.background,
        "threads": 1,
    }
    rng = np.random.default_rng(0)
    upper = np.array(chosen.shape[::-1])[:, None]
    places = [rng.uniform(0, upper, (2, chosen.particles)).round(3) for _ in range(chosen.micrographs)]
    images = [simulated(tuple(chosen.shape), seed) for seed in range(chosen.micrographs)]
    for simd in _core.runnable_simd().split():
        _core.use_simd(simd)
        check(images[0], *places[0][:, :20], options)
        seconds, _ = timed(images[0], places[0], options)
        print(f"extract_particles, {simd:8s} {seconds:8.4f} s per micrograph of {chosen.particles} particles")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = [f"m{i}.mrc" for i in range(len(images))]
        for file, image in zip(names, images, strict=True):
            write_stack(folder / file, image, PIXEL)
        mine = min(ours(folder, names, places, options) for _ in range(3)) / len(names)
        print(f"read, extract, write        {mine:8.4f} s per micrograph")
        throughput(folder / "job", images, places, chosen)
        if shutil.which("relion_preprocess") is None:
            print("relion_preprocess is not installed: apt-get install relion")
            return
        theirs = relion(folder, names, places, chosen) / len(names)
        print(f"relion_preprocess           {theirs:8.4f} s per micrograph: {theirs / mine:.1f} times ours")
        apart = max(
            np.abs(read_stack(folder / f"ours_{n}s")[:] - read_stack(folder / f"relion/{n}s")[:]).max()
            for n in names
        )
        print(f"  largest difference of any pixel: {apart:.1e} standard deviations of the background")


if __name__ == "__main__":
    main()
