"""The kernels, behind one protocol: compiled for this processor, for a GPU, or in plain NumPy."""

from boxwood.backends.cuda import cuda_status
from boxwood.backends.protocol import Backend
from boxwood.backends.select import (
    available_threads,
    cpu_status,
    get_backend,
    get_worker_backend,
    native_bf16,
    stop_kernels,
    use_simd,
)

__all__ = [
    "Backend",
    "available_threads",
    "cpu_status",
    "cuda_status",
    "get_backend",
    "get_worker_backend",
    "native_bf16",
    "stop_kernels",
    "use_simd",
]
