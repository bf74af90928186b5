"""How fast micrographs and particles are read from a disk, beside the disk's own speed in the same run.

python benchmarks/bench_disk.py [--folder DIR] [--repeat 3]

Before every reading the system is told to forget the files (POSIX_FADV_DONTNEED). The disk's own speed is
that of reading the same files one after the other past the cache (O_DIRECT), 16 MiB at a time. What is read
is compared with what is read of files that are in the cache.
"""

import argparse
import mmap
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from throughput import evict

from boxwood.execution import map_ordered
from boxwood.io.mrc import read_image, write_stack
from boxwood.io.particle_images import ParticleImages
from boxwood.jobs.context import announce
from boxwood.typing import AnyArray

MICROGRAPHS, SIZE_PX = 16, 4096
STACKS, PER_STACK, BOX = 60, 200, 128
BATCH = 512
THREADS = 2


def past_the_cache(paths: list[Path]) -> int:
    """Read files as fast as the disk gives them; returns their bytes."""
    buffer, total = mmap.mmap(-1, 1 << 24), 0
    for path in paths:
        file = os.open(path, os.O_RDONLY | os.O_DIRECT)
        while count := os.readv(file, [buffer]):
            total += count
        os.close(file)
    return total


def read_micrographs(paths: list[Path]) -> float:
    """As picking and extraction do: in threads, the next ones read ahead."""
    ahead = announce(paths, lambda path: path)
    read = map_ordered(lambda path: float(read_image(path).data[-1, -1]), ahead, THREADS)
    return sum(done.result for done in read if isinstance(done.result, float))


def read_batches(images: ParticleImages, rows: AnyArray) -> float:
    """As Class2D does: sorted, a batch at a time."""
    parts = (images.read(rows[first : first + BATCH]) for first in range(0, len(rows), BATCH))
    return float(sum(part[:, -1, -1].sum(dtype=np.float64) for part in parts))


def seconds(paths: list[Path], work: Callable[[], object], expected: object) -> float:
    """Of `work` on files that are in no cache."""
    evict(paths)
    begun = time.perf_counter()
    found = work()
    taken = time.perf_counter() - begun
    assert found == expected, f"read {found}, expected {expected}"
    return taken


def main() -> None:
    """Print speeds and their ratios to the disk's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, help="on the disk; default: that of temporary files")
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        micrographs = [folder / f"{i}.mrc" for i in range(MICROGRAPHS)]
        image = rng.normal(size=(SIZE_PX, SIZE_PX)).astype(np.float32)
        for i, path in enumerate(micrographs):
            write_stack(path, np.roll(image, i), 1.0, float16=True)
        stacks = [folder / f"{i}.mrcs" for i in range(STACKS)]
        particles = image[: PER_STACK * BOX**2 // SIZE_PX].reshape(PER_STACK, BOX, BOX)
        for i, path in enumerate(stacks):
            write_stack(path, np.roll(particles, i), 1.0)
        images = ParticleImages(
            pd.Series([f"{i + 1}@{path.name}" for path in stacks for i in range(PER_STACK)]), folder
        )
        everything = np.arange(len(images))
        cases: list[tuple[str, list[Path], Callable[[], float], float]] = [
            ("micrographs", micrographs, lambda: read_micrographs(micrographs), SIZE_PX**2 * 2 * MICROGRAPHS)
        ]
        image_bytes = BOX**2 * 4
        for share in (1.0, 0.5, 0.1, 0.02):
            rows = np.sort(rng.choice(everything, int(share * len(everything)), replace=False))
            label = "all particles" if share == 1 else f"{share:.0%} of the particles at random"

            def work(rows: AnyArray = rows) -> float:
                return read_batches(images, rows)

            cases.append((label, stacks, work, image_bytes * len(rows)))
        for label, paths, job, wanted in cases:
            answer = job()
            size = past_the_cache(paths)
            disk, ours = [], []
            for _ in range(given.repeat):
                disk.append(size / seconds(paths, lambda paths=paths: past_the_cache(paths), size))
                ours.append(wanted / seconds(paths, job, answer))
            peak, speed = statistics.median(disk), statistics.median(ours)
            print(
                f"{label:32s} {speed / 1e6:7.0f} MB/s of pixels wanted, the disk {peak / 1e6:7.0f} MB/s:"
                f" {speed / peak:5.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main()
