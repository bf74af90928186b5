from typing import Any

from boxwood.typing import AnyArray, ComplexArray, DoubleArray, FloatArray

__version__: str
cuda_version: int
CudaError: type[RuntimeError]
OutOfMemory: type[RuntimeError]
StoreReleased: type[RuntimeError]

def device_names() -> list[str]: ...
def time_stages(on: bool) -> None: ...
def stage_times() -> dict[str, tuple[float, int]]: ...
def ceilings(device: int, bytes: int, n: int) -> dict[str, float]: ...
def keep_memory(keep: bool) -> None: ...
def make_image_store(most: int, samples: int, device: int) -> tuple[int, int]: ...
def put_images(store: int, slots: AnyArray, transforms: ComplexArray, ctf: FloatArray) -> None: ...
def release_image_store(store: int) -> None: ...
def ctf(rows: DoubleArray, frequencies: FloatArray, mode: int, device: int) -> FloatArray: ...
def polar_transform(
    images: FloatArray, shifts: AnyArray | None, mask: FloatArray, positions: FloatArray, device: int
) -> tuple[ComplexArray, FloatArray]: ...
def polar_adjoint(samples: ComplexArray, positions: FloatArray, box: int, device: int) -> FloatArray: ...
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
    device: int,
    *,
    slots: AnyArray = ...,
    store: int = ...,
) -> dict[str, Any]: ...
def log_pick_maps(
    micrograph: FloatArray,
    outside: FloatArray,
    work_size: int,
    variances: DoubleArray,
    outlier_sigma: float,
    sign: float,
    device: int,
) -> tuple[FloatArray, AnyArray, float, float]: ...
def log_pick_peaks(
    best: FloatArray,
    index: AnyArray,
    allowed: AnyArray,
    radius2: AnyArray,
    border: tuple[int, int, int, int],
    adjust: float,
    upper: float,
    device: int,
) -> tuple[AnyArray, float, float]: ...
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
    device: int,
) -> tuple[FloatArray, AnyArray]: ...
