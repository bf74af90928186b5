"""What setting back the schedule is worth where particles come one after the other: purity and NMI.

python benchmarks/bench_live_quality.py [--particles 6000] [--views 20] [--classes 24] [--snr 0.15]
       [--rounds 16] [--mini-batches-a-round 50] [--seeds 1 2 3] [--policies offline live forward]

Particles of simulated views (48 px at 4.7 Angstrom) arrive in equal rounds, a number of mini-batches is made
after each, as far as the schedule has some, and the set is finished in the end. In the first sixth of the
particles half are junk: noise alone, or contamination; later a tenth. Policies: `live` sets the schedule
back as particles come (`boxwood.class2d.set_back`) and does its rest in the end; `forward` goes through the
schedule once, whatever comes; `offline` begins when all are there. The truth counts junk as one more view.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
from quality_sets import agreement

from boxwood.class2d import Class2DParameters, Groups, IterationResult, classify2d, grow, set_back
from boxwood.imaging.masks import soft_circle
from boxwood.simulate import SimulatedSource

BOX, PIXEL = 48, 4.72
POLICIES = ("offline", "live", "forward")


class Arrivals:
    """The first `count` images of a simulated source, some of which are replaced by junk."""

    def __init__(self, source: SimulatedSource, seed: int) -> None:
        rng = np.random.default_rng(seed)
        n = len(source)
        share = np.where(np.arange(n) < n // 6, 0.5, 0.1)
        self.source, self.count, self.seed = source, n, seed
        self.junk = rng.random(n) < share
        self.view = np.where(self.junk, source.views_deg.shape[0], source.class_index)

    def __len__(self) -> int:
        return self.count

    def read(self, indices: np.ndarray) -> np.ndarray:
        images = self.source.read(indices)
        for image, index in zip(images, indices, strict=True):
            if self.junk[index]:
                image[:] = junk(np.random.default_rng([self.seed, 7, int(index)]))
        return images


def junk(rng: np.random.Generator) -> np.ndarray:
    """Noise, and in two of three a bright blotch of any size."""
    image = rng.standard_normal((BOX, BOX), dtype=np.float32)
    if rng.random() > 1 / 3:
        y, x = np.mgrid[:BOX, :BOX]
        (cy, cx), width = rng.uniform(BOX / 6, 5 * BOX / 6, 2), rng.uniform(2, 6)
        image += 4 * rng.random() * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * width**2))
    return (image - image.mean()) / image[soft_circle((BOX, BOX), BOX / 2 - 3, 0) == 0].std()


def classify(source: Arrivals, n: int, p: Class2DParameters, start: IterationResult | None, batches: int):
    """The result after at most so many mini-batches of the first n particles."""
    source.count = n
    steps = classify2d(
        source, source.source.ctf_rows[:n], pixel_size_angstrom=PIXEL, parameters=p, start=start, threads=1
    )
    result = start
    for result in steps:
        if result.iteration >= (0 if start is None else start.iteration) + batches:
            break
    return result


def groups(n: int) -> Groups:
    return Groups.of(n, 1, None, None, None, None)


def live(source: Arrivals, p: Class2DParameters, policy: str, rounds: int, batches: int) -> tuple:
    """The result in the end, and mini-batches in all."""
    total = len(source)
    if policy == "offline":
        return classify(source, total, p, None, p.mini_batches)
    p = replace(p, unseen_first=True)
    result, before = None, 0
    for number in range(1, rounds + 1):
        n = total * number // rounds
        if result is not None:
            result = grow(result, np.arange(before), groups(before), groups(n))
            if policy != "forward":
                p, result = set_back(p, result, before, n)
        room = batches if result is None else min(batches, p.last_iteration - 1 - result.iteration)
        if room > 0:
            result = classify(source, n, p, result, room)
        before = n
    return classify(source, total, p, result, p.mini_batches)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--particles", type=int, default=6_000)
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--classes", type=int, default=24)
    parser.add_argument("--snr", type=float, default=0.15)
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--mini-batches-a-round", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--policies", nargs="+", default=list(POLICIES), choices=POLICIES)
    chosen = parser.parse_args()
    print("policy   seed  steps  CPU s  purity    NMI  effective classes", flush=True)
    for seed in chosen.seeds:
        simulated = SimulatedSource(
            chosen.particles, BOX, PIXEL, classes=chosen.views, snr=chosen.snr, seed=seed
        )
        for policy in chosen.policies:
            source = Arrivals(simulated, seed)
            p = Class2DParameters(
                classes=chosen.classes, algorithm="vdam", mask_diameter_angstrom=190, seed=seed
            )
            begun = time.process_time()
            result = live(source, p, policy, chosen.rounds, chosen.mini_batches_a_round)
            found = result.assignments.class_index
            assert (found >= 0).all(), "a particle has no class"
            purity, information = agreement(found, source.view)
            print(
                f"{policy:8} {seed:4} {result.iteration:6} {time.process_time() - begun:6.0f} {purity:7.3f} "
                f"{information:6.3f} {result.model.effective_classes:6.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
