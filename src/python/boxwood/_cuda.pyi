from typing import Any

from boxwood.typing import AnyArray, ComplexArray, DoubleArray, FloatArray

__version__: str
cuda_version: int
CudaError: type[RuntimeError]

def device_names() -> list[str]: ...
def keep_memory(keep: bool) -> None: ...
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
    bf16: bool,
    device: int,
) -> dict[str, Any]: ...
