"""Measure what --precision bf16 does to the posterior of real images.

python benchmarks/bench_bf16.py PARTICLES.star [--iterations 8] [--images 200] [--resolutions 14.2 7.3]

Classifies the particles (K = 50, 2374 particles take half a minute), then searches images of the last batch
again, all classes, offsets and angles at once, in single precision and with bfloat16 in the matrix product,
and compares the posteriors over (class, angle, offset). Where the processor has no instruction for bfloat16
the same arithmetic is done without it.
"""

import argparse
import inspect
from pathlib import Path
from typing import Any

import numpy as np

from boxwood.backends import Backend, cpu
from boxwood.class2d import classify2d
from boxwood.io.particles import ParticleSet, ctf_rows

PIXEL_ANGSTROM = 3.54
TOP = 4000


def last_search(particles: ParticleSet, iterations: int, resolution: float, images: int) -> dict[str, Any]:
    """Arguments of the kernel for images of the last batch of a classification."""
    names = list(inspect.signature(Backend.expectation).parameters)[1:]
    case: dict[str, Any] = {}
    kernel = cpu.expectation

    def record(*arguments: Any) -> dict[str, Any]:
        case.update(zip(names, arguments, strict=True))
        return kernel(*arguments)

    cpu.expectation = record
    try:
        for _ in classify2d(
            particles.images().read(np.arange(len(particles))),
            ctf_rows(particles),
            pixel_size_angstrom=PIXEL_ANGSTROM,
            iterations=iterations,
            limit_resolution_angstrom=resolution,
            threads=1,
        ):
            pass
    finally:
        cpu.expectation = kernel
    for name in ("images", "ctf", "group", "scale", "log_prior_offset"):
        case[name] = case[name][:images]
    n = len(case["images"])
    everything = {"coarse_phases": np.zeros((0, 0), np.complex64), "parent": np.zeros(0, np.int32)}
    everything["coarse_log_prior_offset"] = np.zeros((n, 0), np.float32)
    return case | everything | {"hard": False, "fraction": 1.0, "cut": 20.0, "top": TOP}


def divergence(p: dict[str, Any], q: dict[str, Any], image: int) -> float:
    """Kullback-Leibler divergence of the samples that both list, sum p log(p/q) - p + q."""
    both = []
    for result in (p, q):
        some = result["top_weights"][image] > 0
        samples = map(tuple, result["top_samples"][image][some])
        both.append(dict(zip(samples, result["top_weights"][image][some].astype(float), strict=True)))
    common = both[0].keys() & both[1].keys()
    a, b = (np.array([weights[sample] for sample in common]) for weights in both)
    return float((a * np.log(a / b) - a + b).sum())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("particles", type=Path)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--resolutions", type=float, nargs="+", default=[14.2, 7.3])
    chosen = parser.parse_args()
    particles = ParticleSet.read(chosen.particles)
    for resolution in chosen.resolutions:
        case = last_search(particles, chosen.iterations, resolution, chosen.images)
        single, half = (cpu.expectation(**(case | {"precision": p})) for p in ("float32", "bf16"))
        kl = np.array([divergence(single, half, i) for i in range(len(case["images"]))])
        same = (single["best"] == half["best"]).all(axis=1).mean()
        change = np.abs(single["class_posterior"] - half["class_posterior"]).max(axis=1)
        print(
            f"{len(case['ring_samples'])} rings, {len(kl)} images: KL mean {kl.mean():.2g}, median "
            f"{np.median(kl):.2g}, largest {kl.max():.2g} nats over samples that hold "
            f"{100 * single['top_weights'].sum(axis=1).min():.2f} % or more; class posteriors change by "
            f"{change.mean():.2g} on average, at most {change.max():.2g}; "
            f"{100 * same:.1f} % keep their best sample"
        )


if __name__ == "__main__":
    main()
