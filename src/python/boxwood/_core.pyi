from typing import TypeVar

import numpy as np
import numpy.typing as npt

from boxwood.typing import AnyArray, ComplexArray, DoubleArray, FloatArray

__version__: str
Signal = TypeVar("Signal", npt.NDArray[np.complex64], npt.NDArray[np.complex128])

def simd() -> str: ...
def lanes() -> int: ...
def native_bf16() -> bool: ...
def use_simd(name: str) -> bool: ...
def compiled_simd() -> str: ...
def runnable_simd() -> str: ...
def available_threads() -> int: ...
def request_stop(stop: bool) -> None: ...
def ctf(rows: DoubleArray, frequencies: FloatArray, mode: int, threads: int) -> FloatArray: ...
def fft(signals: Signal, /, sign: int, threads: int = 1) -> Signal: ...
def fourier_crop(image: FloatArray, shape: tuple[int, int], offset: float, threads: int) -> FloatArray: ...
def log_pick_maps(
    micrograph: FloatArray,
    outside: FloatArray,
    work_size: int,
    variances: DoubleArray,
    outlier_sigma: float,
    sign: float,
    threads: int,
) -> tuple[FloatArray, AnyArray, float, float]: ...
def log_pick_peaks(
    best: FloatArray,
    index: AnyArray,
    allowed: AnyArray,
    radius2: AnyArray,
    border: tuple[int, int, int, int],
    adjust: float,
    upper: float,
    threads: int,
) -> tuple[AnyArray, float, float]: ...
def polar_transform(
    images: FloatArray,
    shifts: AnyArray | None,
    mask: FloatArray,
    positions: FloatArray,
    threads: int,
) -> tuple[ComplexArray, FloatArray]: ...
def polar_adjoint(samples: ComplexArray, positions: FloatArray, box: int, threads: int) -> FloatArray: ...
def expectation(
    images: ComplexArray,
    ctf: FloatArray,
    group: AnyArray,
    weights: FloatArray,
    scale: FloatArray,
    ring_samples: AnyArray,
    ring_harmonics: AnyArray,
    references: ComplexArray,
    power: ComplexArray,
    phases: ComplexArray,
    log_prior_offset: FloatArray,
    log_prior_class: FloatArray,
    log_prior_psi: FloatArray | None,
    coarse_phases: ComplexArray,
    parent: AnyArray,
    coarse_log_prior_offset: FloatArray,
    psi: int,
    hard: bool,
    cut: float,
    fraction: float,
    top: int,
    precision: str,
    threads: int,
) -> dict[str, AnyArray]: ...
def product_speed(
    references: ComplexArray, ring_harmonics: AnyArray, psi: int, vectors: int, bf16: bool, repeats: int
) -> tuple[float, float]: ...
def extract(
    micrograph: FloatArray,
    centres: AnyArray,
    shifts: FloatArray | None,
    filters: FloatArray | None,
    fill: float,
    box: int,
    scaled: int,
    window: int,
    background_radius: float,
    ramp: bool,
    white_dust: float,
    black_dust: float,
    invert: bool,
    seed: int,
    threads: int,
) -> tuple[FloatArray, AnyArray]: ...
def steerable(
    image: FloatArray,
    padded: tuple[int, int],
    tables: FloatArray,
    orders: AnyArray,
    weights: FloatArray,
    threads: int,
) -> tuple[FloatArray, FloatArray]: ...
