"""Time the CTF kernel of every backend and instruction set, after checking its answer.

python benchmarks/bench_ctf.py [--images 5000] [--frequencies 1000]
"""

import argparse
import time

import numpy as np

from boxwood import _core
from boxwood.backends import Backend, available_threads, cuda_status, get_backend
from boxwood.errors import InputError
from boxwood.typing import DoubleArray, FloatArray


def problem(images: int, frequencies: int) -> tuple[DoubleArray, FloatArray]:
    """Particles of a 300 kV data set, defocus 0.5 to 3 micrometres, frequencies up to 1/4 per Angstrom."""
    rng = np.random.default_rng(0)
    rows = np.tile([0, 0, 30, 0, 300, 2.7, 0.1, 0, 1.0], (images, 1))
    rows[:, :2] = rng.uniform(5e3, 3e4, (images, 2))
    return rows, rng.uniform(-0.18, 0.18, (frequencies, 2)).astype(np.float32)


def measure(label: str, backend: Backend, rows: DoubleArray, frequencies: FloatArray, threads: int) -> None:
    """Print the best of five runs; stop if the answer is wrong."""
    some = slice(0, 50)
    want = get_backend("reference").ctf(rows[some], frequencies, 0, 1)
    # The phase stays below 50 half turns; ten roundings of it in float32.
    np.testing.assert_allclose(backend.ctf(rows[some], frequencies, 0, 1), want, atol=10 * 50 * np.pi * 6e-8)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        backend.ctf(rows, frequencies, 0, threads)
        seconds.append(time.perf_counter() - start)
    values = len(rows) * len(frequencies)
    print(f"{label:28s} {min(seconds) * 1e3:9.2f} ms {min(seconds) / values * 1e9:8.3f} ns per value")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--frequencies", type=int, default=1000)
    chosen = parser.parse_args()
    rows, frequencies = problem(chosen.images, chosen.frequencies)
    measure("reference (numpy, float64)", get_backend("reference"), rows, frequencies, 1)
    for simd in _core.runnable_simd().split():
        _core.use_simd(simd)
        for threads in sorted({1, available_threads()}):
            measure(f"cpu {simd}, threads {threads}", get_backend("cpu"), rows, frequencies, threads)
    try:
        measure("cuda, with transfers", get_backend("cuda"), rows, frequencies, 1)
    except InputError:
        print(f"cuda: {cuda_status()}")


if __name__ == "__main__":
    main()
