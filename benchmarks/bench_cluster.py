"""Scaling of Class2D over workers, the bytes it sends, and a model of both for larger clusters.

python benchmarks/bench_cluster.py [--particles 4096] [--classes 50] [--box 64] [--iterations 3]

Every arrangement of threads and workers on this machine classifies the same simulated particles, and must
find the same bits. Seconds are those of an iteration after the first, which reads the images. Bytes are
counted by pickling what goes to the workers and comes from them. The model of docs/scale.md is made of CPU
seconds of this process with one thread; what it says of the others is printed beside what was measured.
"""

import argparse
import math
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster

from boxwood.class2d import IterationResult, classify2d
from boxwood.execution import Executor, Threads
from boxwood.io.star import write_star
from boxwood.jobs.cluster import ClusterSettings
from boxwood.simulate import SimulatedSource


@dataclass(frozen=True)
class Costs:
    """What the model is made of.

    Attributes
    ----------
    compute_s : float
        Of one thread for a particle and iteration.
    main_s : float
        Of the main process for a particle: what it sends and gets is pickled, sorted and entered.
    serial_s : float
        Of the main process for an iteration: maximisation and measures.
    file_s : float
        Of the main process for a particle in the STAR file of an iteration, written while the next computes.
    model_bytes, particle_bytes, sums_bytes : float
        Sent to each worker in an iteration; to and from workers for each particle; back for each block.
    network_bytes_s : float
    """

    compute_s: float
    main_s: float
    serial_s: float
    file_s: float
    model_bytes: float
    particle_bytes: float
    sums_bytes: float
    network_bytes_s: float = 1.0e9

    def parts(self, particles: float, workers: int, threads: int) -> dict[str, float]:
        """Seconds of an iteration, by what they are for."""
        blocks = min(8 * workers, math.ceil(particles / 512))
        return {
            "compute": particles * self.compute_s / (workers * threads),
            "broadcast": self.model_bytes * math.ceil(math.log2(workers + 1)) / self.network_bytes_s,
            "particles": particles * (self.particle_bytes / self.network_bytes_s + self.main_s),
            "reduce": blocks * self.sums_bytes / self.network_bytes_s,
            "serial": self.serial_s,
        }


class FileSource:
    """Images in a file, some of them in another process."""

    def __init__(self, path: Path, indices: np.ndarray) -> None:
        self.path, self.indices = path, indices

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, indices: np.ndarray) -> np.ndarray:
        return np.load(self.path, mmap_mode="r")[self.indices[indices]]

    def reason(self, index: int) -> str:
        return ""

    def give_up(self, index: int, reason: str) -> None:
        raise OSError(f"image {index}: {reason}")

    def to_send(self, indices: np.ndarray) -> "FileSource":
        return FileSource(self.path, self.indices[indices])


class Counting(Threads):
    """Counts the bytes and the main process's seconds that workers would cost."""

    def __init__(self) -> None:
        super().__init__(1)
        self.passes: list[dict[str, float]] = []

    def map_add(self, work, items, found, near=lambda number: 0.0):  # type: ignore[no-untyped-def]
        now = dict.fromkeys(("model", "items", "results", "sums", "main_s", "map_s"), 0.0)
        counting = self

        class Watched:
            def __call__(self, here, some):  # type: ignore[no-untyped-def]
                def sent() -> Iterator[object]:
                    for number in range(len(items)):
                        start = time.thread_time()
                        data = pickle.dumps(items[number])
                        now["main_s"] += time.thread_time() - start
                        now["items"] += len(data)
                        yield items[number]

                for result, term in work(here, sent()):
                    data = pickle.dumps(result)
                    now["results"] += len(data)
                    now["sums"] = max(now["sums"], len(pickle.dumps(term)))
                    start = time.thread_time()
                    pickle.loads(data)
                    now["main_s"] += time.thread_time() - start
                    yield result, term

        def told(number, result):  # type: ignore[no-untyped-def]
            start = time.thread_time()
            found(number, result)
            now["main_s"] += time.thread_time() - start

        now["model"] = len(pickle.dumps(work))
        start = time.process_time()
        total = super().map_add(Watched(), items, told, near)
        now["map_s"] = time.process_time() - start
        counting.passes.append(now)
        return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=4096)
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--box", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=3)
    given = parser.parse_args()
    pixel = 3.54 * 64 / given.box
    source = SimulatedSource(given.particles, given.box, pixel, classes=given.classes, snr=0.05, seed=1)

    def run(
        executor: Executor, particles: int, cpu_of_workers: Callable[[], float] = lambda: 0.0
    ) -> tuple[float, float, float, IterationResult]:
        """Of an iteration after the first: seconds, CPU seconds of workers and of this process; a result."""
        images = FileSource(path, np.arange(particles))
        times, workers, main = [], [], []
        results = classify2d(
            images,
            source.ctf_rows[:particles],
            pixel_size_angstrom=pixel,
            classes=given.classes,
            iterations=given.iterations,
            executor=executor,
        )
        for last in results:
            times.append(time.perf_counter())
            workers.append(cpu_of_workers())
            main.append(time.process_time())
            result = last
        means = [(seen[-1] - seen[1]) / (len(seen) - 2) for seen in (times, workers, main)]
        return means[0], means[1], means[2], result

    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "images.npy"
    np.save(path, source.read(np.arange(given.particles)))
    counting = Counting()
    _, _, whole_s, wanted = run(counting, given.particles)
    timed = counting.passes[2:]  # as those that are timed below
    mean = {name: sum(one[name] for one in timed) / len(timed) for name in timed[0]}
    costs = Costs(
        compute_s=(mean["map_s"] - mean["main_s"]) / given.particles,
        main_s=mean["main_s"] / given.particles,
        serial_s=whole_s - mean["map_s"],
        file_s=seconds_of_a_row(),
        model_bytes=mean["model"],
        particle_bytes=(mean["items"] + mean["results"]) / given.particles,
        sums_bytes=mean["sums"],
    )
    print(f"{given.particles} particles of {given.box} px, {given.classes} classes, seconds an iteration")
    for name in ("model", "items", "results", "sums"):
        print(f"  bytes of {name:8} {mean[name]:12,.0f}")
    print(
        f"  of the main process {1e6 * costs.main_s:.1f} us a particle, {costs.serial_s:.3f} s an iteration"
    )

    print("  CPU seconds are those of the workers, and of this process")
    print("  workers x threads  particles  seconds  model  CPU of workers  model  CPU here  model")
    for workers, threads, particles in ((0, 1, 1), (0, 2, 1), (1, 1, 1), (1, 2, 1), (2, 1, 1), (1, 1, 0.5)):
        n = round(given.particles * particles)
        with executor_of(workers, threads) as (executor, cpu_of_workers):
            seconds, cpu_workers, cpu_here, result = run(executor, n, cpu_of_workers)
        if n == given.particles:
            assert result.model.references.tobytes() == wanted.model.references.tobytes()
            assert result.log_likelihood == wanted.log_likelihood
        wall = n * costs.compute_s / threads + costs.serial_s
        model = [wall, 0.0, n * costs.compute_s + costs.serial_s]
        if workers:
            model = [sum(costs.parts(n, workers, threads).values()), n * costs.compute_s]
            model.append(n * costs.main_s + costs.serial_s)
        where = f"{workers} x {threads}" if workers else f"here, {threads}"
        pairs = zip((seconds, cpu_workers, cpu_here), model, strict=True)
        shown = "  ".join(f"{measured:6.2f} {said:6.2f}" for measured, said in pairs)
        print(f"  {where:>17}  {n:9}  {shown}", flush=True)

    print("  10 million particles, seconds an iteration by the model, at 1 GB/s")
    for workers, threads in ((1, 32), (4, 32), (16, 32), (64, 32)):
        parts = costs.parts(1e7, workers, threads)
        print(
            f"  {workers:3} x {threads}  {sum(parts.values()):7.1f}  "
            + "  ".join(f"{name} {value:.1f}" for name, value in parts.items())
            + f"; meanwhile files {1e7 * costs.file_s:.0f}"
        )


def seconds_of_a_row() -> float:
    """CPU seconds to write a particle into a STAR file of the usual columns."""
    rows = 50_000
    rng = np.random.default_rng(0)
    table = pd.DataFrame({f"rlnColumn{i}": rng.normal(size=rows) for i in range(14)})
    for label, name in (("rlnImageName", "000001@Extract/job007/m{}.mrcs"), ("rlnMicrographName", "m{}.mrc")):
        table[label] = [name.format(i // 300) for i in range(rows)]
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        write_star(Path(folder) / "data.star", {"particles": table})
        return (time.process_time() - start) / rows


@contextmanager
def executor_of(workers: int, threads: int) -> Iterator[tuple[Executor, Callable[[], float]]]:
    """Threads here, or workers of their own processes; and what tells the CPU seconds of the workers."""
    if not workers:
        yield Threads(threads), lambda: 0.0
        return
    with (
        dask.config.set({"logging.distributed": "error"}),
        LocalCluster(
            n_workers=workers, threads_per_worker=threads, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        told: Callable[[str], None] = print
        executor = ClusterSettings(executor="dask", scheduler=cluster.scheduler_address).open(1, told)
        try:
            yield executor, lambda: sum(client.run(time.process_time).values())
        finally:
            executor.close()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
