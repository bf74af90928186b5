"""Small pieces of work, to see which backend is faster on this machine."""

import time
from typing import Any

import numpy as np

from boxwood.backends.protocol import Backend

_SIDE = 2048
_IMAGES, _CLASSES, _OFFSETS, _RINGS, _PSI = 128, 50, 21, 16, 60


def trial_arguments(kernel: str = "expectation") -> dict[str, Any]:
    """Arguments of a kernel but for `threads`, of the usual proportions, with random numbers for images."""
    rng = np.random.default_rng(0)
    if kernel == "expectation":
        return _expectation(rng)
    micrograph = rng.standard_normal((_SIDE, _SIDE), dtype=np.float32)
    return {"micrograph": micrograph} | (_LOG_PICK if kernel == "log_pick_maps" else _extract(rng))


_LOG_PICK = {
    "outside": np.zeros(0, np.float32),
    "work_size": 384,
    "variances": np.geomspace(40000.0, 100.0, 13),
    "outlier_sigma": 8.0,
    "sign": -1.0,
}


def _extract(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "centres": rng.integers(0, _SIDE, (200, 2)).astype(np.int32),
        "shifts": None,
        "filters": None,
        "fill": 0.0,
        "box": 256,
        "scaled": 64,
        "window": 64,
        "background_radius": 24.0,
        "ramp": True,
        "white_dust": 0.0,
        "black_dust": 0.0,
        "invert": True,
        "seed": 1,
    }


def _expectation(rng: np.random.Generator) -> dict[str, Any]:
    radius = np.arange(1, _RINGS + 1)
    harmonics = np.ceil(2.8 * radius + 3).astype(np.int32)
    samples = (4 * (harmonics // 2 + 1)).astype(np.int32)
    samples = np.array([next(4 * q for q in range(n // 4, n) if _smooth(q)) for n in samples], dtype=np.int32)
    half, coefficients = int(samples.sum()) // 2, int((harmonics + 1).sum())

    def normal(*shape: int) -> Any:
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)

    return {
        "images": normal(_IMAGES, half),
        "ctf": np.ones((_IMAGES, half), np.float32),
        "group": np.zeros(_IMAGES, np.int32),
        "weights": np.full((1, _RINGS), 1e-3, np.float32),
        "scale": np.ones((_IMAGES, 2), np.float32),
        "ring_samples": samples,
        "ring_harmonics": harmonics,
        "references": normal(_CLASSES, coefficients),
        "power": np.ones((_CLASSES, _RINGS, 3), np.complex64),
        "phases": np.exp(1j * rng.uniform(-1, 1, (_OFFSETS, half))).astype(np.complex64),
        "log_prior_offset": np.zeros((_IMAGES, _OFFSETS), np.float32),
        "log_prior_class": np.zeros(_CLASSES, np.float32),
        "log_prior_psi": None,
        "coarse_phases": np.zeros((0, 0), np.complex64),
        "parent": np.zeros(0, np.int32),
        "coarse_log_prior_offset": np.zeros((_IMAGES, 0), np.float32),
        "psi": _PSI,
        "hard": False,
        "cut": 15.0,
        "fraction": 0.999,
        "top": 0,
        "precision": "float32",
    }


def _smooth(n: int) -> bool:
    for p in (2, 3, 5):
        while n % p == 0:
            n //= p
    return n == 1


def seconds_of_trial(backend: Backend, threads: int, kernel: str) -> float:
    """The second of two runs; the first loads what has to be loaded."""
    arguments = trial_arguments(kernel)
    seconds = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        getattr(backend, kernel)(**arguments, threads=threads)
        seconds = time.perf_counter() - begin
    return seconds
