"""Time Laplacian-of-Gaussian picking on each instruction set, after checking its answer, beside RELION.

python benchmarks/bench_log_pick.py [--micrographs 3] [--shape 3710 3838] [--pixel-size 0.885]
                                    [--min-diameter 150] [--max-diameter 180] [--max-resolution 20]
                                    [--image FILE.mrc] [--job 25]

Seconds are CPU time of one thread. RELION's and the last line of ours include reading the files. The job
picks `--job` micrographs and is timed by the clock, too, beside reading their bytes.
"""

import argparse
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from throughput import FEW, report

from boxwood import _core
from boxwood.io.coordinates import read_coordinates
from boxwood.io.mrc import read_image, write_stack
from boxwood.jobs import autopick
from boxwood.picking import Picks, log_fom_maps, pick_log
from boxwood.typing import FloatArray

STAR = """
data_optics

loop_
_rlnOpticsGroupName #1
_rlnOpticsGroup #2
_rlnMicrographPixelSize #3
_rlnVoltage #4
_rlnSphericalAberration #5
_rlnAmplitudeContrast #6
one 1 {pixel_size} 300 2.7 0.1

data_micrographs

loop_
_rlnMicrographName #1
_rlnOpticsGroup #2
"""


def simulated(shape: tuple[int, int], diameter_px: float, seed: int) -> FloatArray:
    """Dark discs in noise, a fifth of the area covered."""
    rng = np.random.default_rng(seed)
    image = rng.standard_normal(shape, dtype=np.float32) * np.float32(15) + np.float32(1000)
    r = int(np.ceil(diameter_px / 2))
    y, x = np.ogrid[-r:r, -r:r]
    disc = 3 * (y**2 + x**2 < (diameter_px / 2) ** 2).astype(np.float32)
    for _ in range(int(0.2 * image.size / (np.pi * diameter_px**2 / 4))):
        cy, cx = rng.integers(r, np.array(shape) - r)
        image[cy - r : cy + r, cx - r : cx + r] -= disc
    return image


def check(image: FloatArray, pixel_size: float, options: dict[str, float]) -> None:
    """Stop if the maps are not the float64 reference's, to a tenth of what figures of merit may differ."""
    bank = {k: v for k, v in options.items() if k != "upper_threshold"}
    got = log_fom_maps(image, pixel_size, **bank, threads=1).best
    want = log_fom_maps(image, pixel_size, **bank, backend="reference").best
    np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(want).max())


def relion(folder: Path, names: list[str], pixel_size: float, options: dict[str, float]) -> float:
    """CPU seconds of relion_autopick for all micrographs."""
    rows = "".join(f"{name} 1\n" for name in names)
    (folder / "micrographs.star").write_text(STAR.format(pixel_size=pixel_size) + rows)
    (folder / "relion").mkdir()
    command = ["relion_autopick", "--i", "micrographs.star", "--odir", "relion/", "--pickname", "autopick"]
    command += ["--LoG", "--shrink", "0", "--lowpass", str(options["max_resolution"])]
    command += [
        "--LoG_diam_min",
        str(options["min_diameter"]),
        "--LoG_diam_max",
        str(options["max_diameter"]),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def throughput(
    folder: Path, images: list[FloatArray], count: int, pixel_size: float, options: dict[str, float]
) -> None:
    """Print how many micrographs the job autopick does in a second."""
    names = [f"job{i}.mrc" for i in range(count)]
    for i, name in enumerate(names):
        write_stack(folder / name, images[i % len(images)], pixel_size)
    for table, listed in (("few.star", names[:FEW]), ("all.star", names)):
        rows = "".join(f"{name} 1\n" for name in listed)
        (folder / table).write_text(STAR.format(pixel_size=pixel_size) + rows)
    autopick.PICTURES = 0  # there are five, however many micrographs
    report("autopick", folder, [folder / name for name in names], options)


def common(picks: Picks, path: Path) -> str:
    """How many picks RELION has within 0.1 pixel; noise beside a micrograph that is not square differs."""
    theirs = read_coordinates(path)
    xy = theirs[["rlnCoordinateX", "rlnCoordinateY"]].to_numpy()
    apart = np.hypot(picks.x[:, None] - xy[:, 0], picks.y[:, None] - xy[:, 1])
    return f"{int((apart <= 0.1).any(axis=1).sum())} of {len(picks)} picks are RELION's, of its {len(xy)}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--micrographs", type=int, default=3)
    parser.add_argument("--shape", type=int, nargs=2, default=(3710, 3838))
    parser.add_argument("--image", type=Path, help="a real micrograph instead of simulated ones")
    parser.add_argument("--job", type=int, default=25, help="micrographs of the job")
    parser.add_argument("--pixel-size", type=float, default=0.885)
    parser.add_argument("--min-diameter", type=float, default=150)
    parser.add_argument("--max-diameter", type=float, default=180)
    parser.add_argument("--max-resolution", type=float, default=20)
    chosen = vars(parser.parse_args())
    pixel_size = chosen["pixel_size"]
    options = {name: chosen[name] for name in ("min_diameter", "max_diameter", "max_resolution")}
    if chosen["image"]:
        images = [read_image(chosen["image"]).data]
    else:
        diameter = (options["min_diameter"] + options["max_diameter"]) / 2 / pixel_size
        images = [simulated(tuple(chosen["shape"]), diameter, seed) for seed in range(chosen["micrographs"])]
    for simd in _core.runnable_simd().split():
        _core.use_simd(simd)
        check(images[0], pixel_size, options)
        seconds = []
        for _ in range(5):
            start = time.process_time()
            pick_log(images[0], pixel_size, **options, threads=1)
            seconds.append(time.process_time() - start)
        print(f"pick_log, {simd:10s} {min(seconds):8.3f} s per micrograph of {images[0].shape}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        names = [f"m{i}.mrc" for i in range(len(images))]
        for file, image in zip(names, images, strict=True):
            write_stack(folder / file, image, pixel_size)
        start = time.process_time()
        picks = [pick_log(read_image(folder / f).data, pixel_size, **options, threads=1) for f in names]
        ours = (time.process_time() - start) / len(names)
        print(f"read and pick_log    {ours:8.3f} s per micrograph")
        throughput(folder, images, chosen["job"], pixel_size, options)
        if shutil.which("relion_autopick") is None:
            print("relion_autopick is not installed: apt-get install relion")
            return
        theirs = relion(folder, names, pixel_size, options) / len(names)
        print(f"relion_autopick      {theirs:8.3f} s per micrograph: {theirs / ours:.1f} times ours")
        for file, found in zip(names, picks, strict=True):
            print(" ", common(found, folder / f"relion/{Path(file).stem}_autopick.star"))


if __name__ == "__main__":
    main()
