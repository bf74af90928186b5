"""Kernels on a GPU, stage by stage, beside what the GPU can do at most, and beside the CPU in the same run.

    python benchmarks/bench_cuda.py [--images 4096] [--classes 100] [--rings 31] [--device 0]

Answers are compared with the CPU's before anything is timed. Images are random: times depend on them only in
how many pairs the second pass has.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from boxwood.backends import Backend, available_threads, get_backend
from boxwood.backends.cuda import load_module
from boxwood.backends.image_store import StoredImages
from boxwood.class2d.sampling import make_sampling
from boxwood.imaging.polar import PolarGrid, cutoff

BOX, OFFSET_RANGE, OFFSET_STEP = 64, 5.0, 1.0


def problem(
    images: int, classes: int, rings: int, two_pass: bool, precision: str = "float32"
) -> dict[str, Any]:
    """Arguments of `Backend.expectation`: 60 angles, a disc of offsets, smooth references in noise."""
    rng = np.random.default_rng(1)
    grid = PolarGrid(BOX, 0.44 * BOX, OFFSET_RANGE, rings)
    sampling = make_sampling(6.0, OFFSET_RANGE, OFFSET_STEP, two_pass=two_pass)
    radius = np.repeat(np.arange(1, rings + 1), grid.ring_samples // 2)
    x = rng.standard_normal((classes, len(radius), 2)).astype(np.float32).view(np.complex64)[..., 0]
    x *= np.exp(-((radius / 8) ** 2)).astype(np.float32)
    truth = rng.integers(0, classes, images)
    noise = rng.standard_normal((images, len(radius), 2)).astype(np.float32).view(np.complex64)[..., 0]
    area = 2 * np.pi * np.arange(1, rings + 1) * cutoff(rings, rings - 1)
    coarse = len(sampling.coarse_offsets) if two_pass else 0
    coarse_rings = min(rings, sampling.coarse_rings(grid))
    return {
        "images": x[truth] + 2 * noise,
        "ctf": np.ones((images, len(radius)), np.float32),
        "group": np.zeros(images, np.int32),
        "weights": (area / (grid.ring_samples * 8.0))[None].astype(np.float32),
        "scale": np.ones((images, 2), np.float32),
        "ring_samples": grid.ring_samples,
        "ring_harmonics": grid.ring_harmonics,
        "references": grid.harmonics(x, rings).astype(np.complex64),
        "power": grid.power_harmonics(x, rings).astype(np.complex64),
        "phases": sampling.phases(grid, rings),
        "log_prior_offset": np.zeros((images, len(sampling.offsets)), np.float32),
        "log_prior_class": np.zeros(classes, np.float32),
        "log_prior_psi": None,
        "coarse_phases": sampling.coarse_phases(grid, coarse_rings)
        if two_pass
        else np.zeros((0, 0), np.complex64),
        "parent": sampling.parent if two_pass else np.zeros(0, np.int32),
        "coarse_log_prior_offset": np.zeros((images, coarse), np.float32),
        "psi": sampling.psi,
        "hard": False,
        "cut": 15.0,
        "fraction": 0.999,
        "top": 0,
        "precision": precision,
    }


def head(case: dict[str, Any], n: int) -> dict[str, Any]:
    """The same for the first n images."""
    rows = ("images", "ctf", "group", "scale", "log_prior_offset", "coarse_log_prior_offset")
    return case | {name: np.ascontiguousarray(case[name][:n]) for name in rows}


def stored(cuda: Backend, case: dict[str, Any]) -> dict[str, Any]:
    """The same with the images in the device's memory."""
    images, ctf = case["images"], case["ctf"]
    store, numbers = cuda.image_store(*images.shape), np.arange(len(images))
    assert store is not None
    store.put(numbers, images, ctf)
    if (store.device_of(numbers) < 0).any():
        raise SystemExit("the device has no room for so many images; give fewer --images")
    nowhere = np.full(len(images), -1)
    return case | {
        "images": StoredImages(store, numbers, nowhere, images[:0], ctf[:0], lambda n: (images[n], ctf[n])),
        "ctf": None,
    }


# What single precision and the rounding of factors explain, of the largest value of each result.
ALLOWED = {"float32": 5e-3, "tf32": 1e-2, "bf16": 0.05}


def difference(got: Any, want: Any) -> float:
    """The largest difference, of the largest value."""
    return float(np.abs(got - want).max() / max(float(np.abs(want).max()), 1e-30))


def check(cuda: Backend, cpu: Backend, case: dict[str, Any], on_cpu: dict[str, Any], threads: int) -> None:
    """Stop if a result differs from the CPU's by more than is explained, from images sent or in store."""
    case = head(case, 32)
    want = cpu.expectation(**head(on_cpu, 32), threads=threads)
    for images, given in (("sent", case), ("in store", stored(cuda, case))):
        got, worst = cuda.expectation(**given, threads=threads), 0.0
        for name in sorted(want.keys() - {"best", "top_samples", "top_weights"}):
            found = difference(got[name], want[name])
            if not found <= ALLOWED[case["precision"]]:
                raise SystemExit(
                    f"{name} of images {images} differs from the CPU's by {found:.2g} of the largest"
                )
            worst = max(worst, found)
        same = float((got["best"] == want["best"]).all(axis=1).mean())
        if same < 0.9:  # two samples may be equally good
            raise SystemExit(f"images {images} have the CPU's best sample in {100 * same:.0f} % only")
        print(
            f"  images {images}: all results agree with the CPU's within {worst:.1e} of the largest value, "
            f"{100 * same:.0f} % of best samples are the same"
        )


def best_of(turns: int, work: Callable[[], Any]) -> float:
    seconds = []
    for _ in range(turns):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def least_work(case: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Per image, bytes of device memory and operations that stages of the first pass cannot do without."""
    coarse = case["coarse_phases"]
    phases = coarse if len(coarse) else case["phases"]
    rings = 1 + int(np.searchsorted(np.cumsum(case["ring_samples"] // 2), phases.shape[1]))
    harmonics = case["ring_harmonics"][:rings]
    columns, k, top = len(phases), len(case["references"]), int(harmonics[-1]) + 1
    coefficients = float((harmonics + 1).sum())
    y, z = 8 * coefficients * columns, 8.0 * top * k * columns
    return {
        "shift_and_transform": (y, 0.0),
        "multiply": (y + z, 8 * coefficients * k * columns),
        "search": (z, 0.0),
    }


def stages(module: Any, work: Callable[[], Any]) -> dict[str, tuple[float, int]]:
    module.time_stages(True)
    try:
        work()
        return dict(module.stage_times())
    finally:
        module.time_stages(False)


def report(
    times: dict[str, tuple[float, int]],
    least: dict[str, Any],
    images: int,
    top: dict[str, float],
    precision: str = "float32",
    what: str = "image",
) -> None:
    products = top["float32" if precision == "float32" else "tf32"]  # bf16 is multiplied as TF32
    article = "an" if what[0] in "aeiou" else "a"
    print(f"  | stage | us {article} {what} | launches | GB/s | % of copies | TFLOP/s | % of products |")
    print("  |---|---|---|---|---|---|---|")
    for name, (seconds, count) in sorted(times.items(), key=lambda item: -item[1][0]):
        moved, operations = least.get(name, (0.0, 0.0))
        bandwidth, speed = moved * images / seconds, operations * images / seconds
        print(
            f"  | {name} | {1e6 * seconds / images:.3f} | {count} "
            + (f"| {bandwidth / 1e9:.0f} | {100 * bandwidth / top['memory']:.0f} " if moved else "| | ")
            + (f"| {speed / 1e12:.2f} | {100 * speed / products:.0f} |" if operations else "| | |")
        )


def measure(
    module: Any, cuda: Backend, cpu: Backend, case: dict[str, Any], cpu_images: int, top: dict[str, float]
) -> None:
    """Check and time one problem."""
    threads, images = available_threads(), len(case["images"])
    # The CPU has no TF32: single precision is what it is compared with.
    plain = case | {"precision": "float32"} if case["precision"] == "tf32" else case
    check(cuda, cpu, case, plain, threads)

    def on_device() -> Any:
        return cuda.expectation(**case, threads=1)

    on_device()
    seconds_sent = best_of(3, on_device)
    case_stored = stored(cuda, case)

    def on_device_in_store() -> Any:
        return cuda.expectation(**case_stored, threads=1)

    seconds = best_of(3, on_device_in_store)
    on_cpu = best_of(2, lambda: cpu.expectation(**head(plain, cpu_images), threads=threads)) / cpu_images
    print(
        f"  {1e6 * seconds / images:.2f} us an image in store, {1e6 * seconds_sent / images:.2f} us an image "
        f"that is sent, {1e6 * on_cpu:.1f} us on {threads} processors: "
        f"{on_cpu * images / seconds:.1f} times as fast"
    )
    report(stages(module, on_device_in_store), least_work(case), images, top, case["precision"])


def other_kernels(options: argparse.Namespace, cpu: Backend) -> list[tuple[str, int, str, dict[str, Any]]]:
    """Kernels around the expectation: name, how many of what there are, and arguments."""
    rng = np.random.default_rng(2)
    side, box, n = options.side, options.box, min(options.images, 512)
    micrograph = rng.standard_normal((side, side), dtype=np.float32)
    maps = {
        "micrograph": micrograph,
        "outside": np.zeros(0, np.float32),
        "work_size": side // 10 * 2,
        "variances": np.geomspace(side * 10.0, side / 20.0, 13),
        "outlier_sigma": 8.0,
        "sign": -1.0,
    }
    best, index, _, _ = cpu.log_pick_maps(**maps, threads=available_threads())
    width, scales = len(best), len(maps["variances"])
    radius2 = np.linspace(width / 40, width / 10, scales).astype(np.int64) ** 2
    peaks = {
        "best": best,
        "index": index,
        "allowed": np.ones(scales, np.uint8),
        "radius2": radius2,
        "border": (0, width, 0, width),
        "adjust": 0.0,
        "upper": np.inf,
    }
    scaled = box // 4
    boxes = {
        "micrograph": micrograph,
        "centres": rng.integers(0, side, (options.particles, 2)).astype(np.int32),
        "shifts": np.zeros((options.particles, 2), np.float32),
        "filters": None,
        "fill": 0.0,
        "box": box,
        "scaled": scaled,
        "window": scaled,
        "background_radius": 0.375 * scaled,
        "ramp": True,
        "white_dust": 0.0,
        "black_dust": 0.0,
        "invert": True,
        "seed": 1,
    }
    positions = PolarGrid(BOX, 0.44 * BOX, OFFSET_RANGE, options.rings).positions
    images = rng.standard_normal((n, BOX, BOX), dtype=np.float32)
    to_polar = {
        "images": images,
        "shifts": None,
        "mask": np.ones((BOX, BOX), np.float32),
        "positions": positions,
    }
    defocus = rng.uniform(5e3, 3e4, (n, 2))
    rows = np.column_stack([defocus, np.broadcast_to([30, 0, 300, 2.7, 0.1, 0, 1], (n, 7))])
    ctfs = {"rows": rows, "frequencies": (positions / BOX / 2).astype(np.float32), "mode": 0}
    samples = rng.standard_normal((n, len(positions), 2)).astype(np.float32).view(np.complex64)[..., 0]
    return [
        ("log_pick_maps", 1, "micrograph", maps),
        ("log_pick_peaks", 1, "micrograph", peaks),
        ("extract", options.particles, "particle", boxes),
        ("ctf", n, "image", ctfs),
        ("polar_transform", n, "image", to_polar),
        ("polar_adjoint", n, "image", {"samples": samples, "positions": positions, "box": BOX}),
    ]


def measure_other(
    module: Any,
    backends: tuple[Backend, Backend],
    kernel: tuple[str, int, str, dict[str, Any]],
    top: dict[str, float],
) -> None:
    """Check and time one of them."""
    (name, count, what, arguments), threads = kernel, available_threads()
    on_cuda, on_cpu = (
        lambda backend=backend: getattr(backend, name)(**arguments, threads=threads) for backend in backends
    )
    got, want = on_cuda(), on_cpu()
    first = (got[0], want[0]) if isinstance(got, tuple) else (got, want)
    if len(first[0]) != len(first[1]):
        raise SystemExit(f"{name} finds {len(first[0])}, the CPU {len(first[1])}")
    if not difference(*first) <= 1e-3:
        raise SystemExit(f"{name} differs from the CPU's by {difference(*first):.2g} of the largest value")
    seconds, cpu_seconds = best_of(3, on_cuda), best_of(2, on_cpu)
    print(
        f"{name}, {count} {what}{'s' * (count > 1)}: agrees with the CPU within {difference(*first):.1e}, "
        f"{1e6 * seconds / count:.1f} us, {1e6 * cpu_seconds / count:.1f} us on {threads} processors"
    )
    report(stages(module, on_cuda), {}, count, top, what=what)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=4096)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--rings", type=int, default=31)
    parser.add_argument("--device", type=int, default=0)
    parser.add_argument("--cpu-images", type=int, default=256, help="as many are timed on the CPU")
    parser.add_argument("--side", type=int, default=4096, help="of the micrograph that is picked, in pixels")
    parser.add_argument("--box", type=int, default=256, help="of the particles that are extracted")
    parser.add_argument("--particles", type=int, default=200)
    parser.add_argument("--ceiling-mib", type=int, default=1024)
    parser.add_argument("--ceiling-n", type=int, default=8192)
    options = parser.parse_args()
    module = load_module()
    cuda, cpu = get_backend(f"cuda:{options.device}"), get_backend("cpu")
    print(module.device_names()[options.device])
    top = module.ceilings(options.device, options.ceiling_mib << 20, options.ceiling_n)
    print(
        f"at most: memory {top['memory'] / 1e9:.0f} GB/s, to the device {top['to_device'] / 1e9:.1f}, "
        f"from it {top['from_device'] / 1e9:.1f} GB/s, products {top['float32'] / 1e12:.1f} TFLOP/s, TF32 "
        f"{top['tf32'] / 1e12:.1f} TFLOP/s"
    )
    for kernel in other_kernels(options, cpu):
        measure_other(module, (cuda, cpu), kernel, top)
    for two_pass in (False, True):
        for precision in ("float32", "tf32", "bf16"):
            case = problem(options.images, options.classes, options.rings, two_pass, precision)
            print(
                f"{'two passes' if two_pass else 'everything searched'}, K = {options.classes}, "
                f"R = {options.rings}, {len(case['phases'])} offsets, {case['psi']} angles, "
                f"{precision}"
            )
            measure(module, cuda, cpu, case, min(options.cpu_images, options.images), top)


if __name__ == "__main__":
    main()
