"""Quality and CPU time of mini-batches against expectation-maximisation, on simulated particles.

python benchmarks/bench_minibatch.py [--particles 100000] [--views 50] [--classes 50] [--snr 0.05]
                                     [--algorithms vdam em] [--iterations 25] [--mini-batches 200] [--seeds 1]

Particles are made when they are read (64 px at 3.54 Angstrom); the time that takes is not counted. The answer
is checked: every particle has a class in the end, and classes agree with the views better than chance.
"""

import argparse
import sys
import time

import numpy as np
from quality_sets import agreement

from boxwood.class2d import classify2d
from boxwood.simulate import SimulatedSource

PIXEL = 3.54


class TimedSource:
    """Images of another source, and the CPU seconds it took to make them."""

    def __init__(self, source: SimulatedSource) -> None:
        self.source, self.seconds = source, 0.0

    def __len__(self) -> int:
        return len(self.source)

    def read(self, indices: np.ndarray) -> np.ndarray:
        start = time.process_time()
        images = self.source.read(indices)
        self.seconds += time.process_time() - start
        return images


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--particles", type=int, default=100_000)
    parser.add_argument("--views", type=int, default=50)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--snr", type=float, default=0.05)
    parser.add_argument("--algorithms", nargs="+", default=["vdam", "em"], choices=["vdam", "em"])
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--mini-batches", type=int, default=200)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    simulated = SimulatedSource(chosen.particles, 64, PIXEL, classes=chosen.views, snr=chosen.snr, seed=1)
    print(f"{chosen.particles} particles of {chosen.views} views, SNR {chosen.snr}, {chosen.classes} classes")
    print("algorithm seed  step   CPU s  purity    NMI  classes of 0.1/K  effective  assigned")
    for algorithm in chosen.algorithms:
        for seed in chosen.seeds:
            classify(simulated, algorithm, seed, chosen)


def classify(simulated: SimulatedSource, algorithm: str, seed: int, chosen: argparse.Namespace) -> None:
    """Print a row a fifth of the way, and check the last."""
    source = TimedSource(simulated)
    steps = chosen.mini_batches if algorithm == "vdam" else chosen.iterations
    start = time.process_time()
    for result in classify2d(
        source,
        simulated.ctf_rows,
        pixel_size_angstrom=PIXEL,
        mask_diameter_angstrom=200,
        classes=chosen.classes,
        algorithm=algorithm,
        iterations=chosen.iterations,
        mini_batches=chosen.mini_batches,
        batch_size=chosen.batch_size,
        seed=seed,
        threads=chosen.threads,
    ):
        if result.iteration == 0 or (result.iteration % max(1, steps // 5) and result.iteration != steps):
            continue
        cpu = time.process_time() - start - source.seconds
        found = result.assignments.class_index
        seen = found >= 0
        purity, information = agreement(found[seen], simulated.class_index[seen])
        alive = int((result.model.shares > 0.1 / chosen.classes).sum())
        print(
            f"{algorithm:9s} {seed:4d} {result.iteration:5d} {cpu:7.1f} {purity:7.3f} {information:6.3f} "
            f"{alive:17d} {result.model.effective_classes:10.1f} {seen.mean():9.2f}",
            flush=True,
        )
    if not seen.all() or purity < 2 / chosen.views:
        sys.exit("the views were not found")


if __name__ == "__main__":
    main()
