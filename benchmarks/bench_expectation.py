"""Time the expectation kernel of every instruction set, after checking its answer against the reference.

python benchmarks/bench_expectation.py [--classes 50] [--images 64] [--limits 9 17 25 31]

64 px, 60 angles, 84 offsets, as in the tutorial's Class2D, searched in two passes and exhaustively.
"concentrated" is the posterior of late iterations, "everything" one in which every sample has the same
weight. The matrix product is also timed alone, beside multiply-adds that need no memory: best of many short
turns, interleaved. Last, what two threads gain by the clock, which says something on a quiet machine only.
"""

import argparse
import time
from typing import Any

import numpy as np

from boxwood import _core
from boxwood.backends import Backend, get_backend
from boxwood.class2d.sampling import make_sampling
from boxwood.imaging.polar import PolarGrid

BOX = 64


def problem(images: int, classes: int, limit: int, weight: float, two_pass: bool = False) -> dict[str, Any]:
    """Arguments of the kernel for white noise; the weight decides how sharp the posterior is."""
    rng = np.random.default_rng(0)
    grid, sampling = PolarGrid(BOX, 28.2, 5.0, BOX // 2 - 1), make_sampling(6, 5, 1, two_pass=two_pass)
    flat = np.ones((BOX, BOX), np.float32)
    x, a = (
        get_backend("cpu").polar_transform(
            rng.standard_normal((n, BOX, BOX)).astype(np.float32), None, flat, grid.positions, 1
        )[0]
        for n in (images, classes)
    )
    return {
        "images": x,
        "ctf": np.ones(x.shape, np.float32),
        "group": np.zeros(images, np.int32),
        "weights": np.full((1, limit), weight, np.float32),
        "scale": np.ones((images, 2), np.float32),
        "ring_samples": grid.ring_samples[:limit],
        "ring_harmonics": grid.ring_harmonics[:limit],
        "references": grid.harmonics(a, limit).astype(np.complex64),
        "power": grid.power_harmonics(a, limit).astype(np.complex64),
        "phases": sampling.phases(grid, limit),
        "log_prior_offset": np.zeros((images, len(sampling.offsets)), np.float32),
        "log_prior_class": np.zeros(classes, np.float32),
        "log_prior_psi": None,
        "coarse_phases": sampling.coarse_phases(grid, min(limit, sampling.coarse_rings(grid))),
        "parent": sampling.parent,
        "coarse_log_prior_offset": np.zeros((images, len(sampling.coarse_offsets)), np.float32),
        "psi": sampling.psi,
        "hard": False,
        "cut": 15.0,
        "fraction": 0.999,
        "top": 0,
        "precision": "float32",
        "threads": 1,
    }


def check(backend: Backend) -> None:
    """Compare with the reference on few images, classes and rings."""
    case = problem(2, 3, 6, 3e-4) | {"cut": 1e9}
    got, want = backend.expectation(**case), get_backend("reference").expectation(**case)
    # Values of some tens, summed from a few hundred terms in float32.
    np.testing.assert_allclose(got["statistics"][:, 0], want["statistics"][:, 0], atol=1e-3)
    np.testing.assert_allclose(got["class_posterior"], want["class_posterior"], atol=1e-3)


def measure(backend: Backend, case: dict[str, Any]) -> float:
    """Best CPU seconds of five runs."""
    seconds = []
    for _ in range(5):
        start = time.process_time()
        backend.expectation(**case)
        seconds.append(time.process_time() - start)
    return min(seconds)


def compare_with_peak(case: dict[str, Any], simd: str, classes: int, limit: int) -> None:
    """Print the speed of the product stage alone and the share of the multiply-adds' peak that it is."""
    for bf16 in [False, True] if _core.native_bf16() else [False]:
        product, peak = _core.product_speed(
            case["references"], case["ring_harmonics"], case["psi"], vectors=3, bf16=bf16, repeats=1000
        )
        print(
            f"{simd:9s} {limit:3d} rings, {classes} classes, {'bf16' if bf16 else 'float32'}: matrix product "
            f"{product:6.1f} of {peak:6.1f} Gflop/s, {100 * product / peak:.1f} % of the peak"
        )


def compare_threads(backend: Backend, classes: int, limits: list[int]) -> None:
    """Print how many times faster two threads are than one, best of six turns each, interleaved."""
    for limit in limits:
        for two_pass in (True, False):
            case = problem(512, classes, limit, 3e-4, two_pass)
            seconds: dict[int, list[float]] = {1: [], 2: []}
            for _ in range(6):
                for threads, found in seconds.items():
                    start = time.perf_counter()
                    backend.expectation(**case | {"threads": threads})
                    found.append(time.perf_counter() - start)
            print(
                f"{limit:3d} rings, {'two passes' if two_pass else 'exhaustive'}: two threads are "
                f"{min(seconds[1]) / min(seconds[2]):.2f} times as fast as one"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--limits", type=int, nargs="+", default=[9, 17, 25, 31])
    chosen = parser.parse_args()
    backend = get_backend("cpu")
    for simd in _core.runnable_simd().split():
        _core.use_simd(simd)
        check(backend)
        for limit in chosen.limits:
            for classes in (chosen.classes, 2 * chosen.classes):
                compare_with_peak(problem(1, classes, limit, 1e-9), simd, classes, limit)
            for label, weight in (("concentrated", 3e-4), ("everything", 1e-9)):
                seconds = [
                    measure(backend, problem(chosen.images, chosen.classes, limit, weight, two_pass))
                    / chosen.images
                    for two_pass in (True, False)
                ]
                print(
                    f"{simd:9s} {limit:3d} rings, {label:13s} {seconds[0] * 1e3:7.3f} ms an image in two "
                    f"passes, {seconds[1] * 1e3:7.3f} ms exhaustively"
                )
    compare_threads(backend, chosen.classes, chosen.limits)


if __name__ == "__main__":
    main()
