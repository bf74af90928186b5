"""The CUDA kernels, on one device. NumPy arrays in, NumPy arrays out."""

import importlib
import importlib.util
import inspect
from types import ModuleType
from typing import Any

from boxwood.backends.protocol import Backend
from boxwood.errors import InputError
from boxwood.typing import ComplexArray, DoubleArray, FloatArray

REINSTALL = "CUDACXX=/path/to/nvcc pip install --force-reinstall --no-deps -C cmake.define.BOXWOOD_CUDA=ON ."


def load_module() -> ModuleType:
    """Import the compiled CUDA module and make sure that it finds a device.

    Raises
    ------
    InputError
        Says why CUDA cannot be used here and what to do about it.
    """
    if importlib.util.find_spec("boxwood._cuda") is None:
        raise InputError(
            "the CUDA backend is unavailable because this installation was built without a CUDA compiler; "
            f"reinstall from the source folder with `{REINSTALL}`, or use the backend cpu"
        )
    try:
        module = importlib.import_module("boxwood._cuda")
    except ImportError as error:
        raise InputError(
            f"the CUDA backend is unavailable because its module does not load ({error}); "
            f"reinstall from the source folder with `{REINSTALL}`, or use the backend cpu"
        ) from error
    try:
        module.device_names()
    except RuntimeError as error:
        raise InputError(
            f"the CUDA backend is unavailable because the driver offers no device ({error}); "
            "see what `nvidia-smi` says, or use the backend cpu"
        ) from error
    return module


def cuda_status() -> str:
    """One line for people: the CUDA version and devices in use, or why there are none."""
    try:
        module = load_module()
    except InputError as error:
        return str(error)
    major, minor = divmod(module.cuda_version // 10, 100)
    return f"CUDA {major}.{minor}, devices: {', '.join(module.device_names())}"


def bound(function: Any, arguments: Any, named: Any) -> list[Any]:
    """Arguments of a method of `Backend` in their order."""
    call = inspect.signature(function).bind(None, *arguments, **named)
    return list(call.arguments.values())[1:]


class CudaBackend:
    """Kernels of one CUDA device; `threads` arguments are accepted and mean nothing here."""

    name = "cuda"

    def __init__(self, module: ModuleType, device: int = 0) -> None:
        self._module = module
        self._device = device

    def ctf(self, rows: DoubleArray, frequencies: FloatArray, mode: int, threads: int) -> FloatArray:
        """See `boxwood.backends.protocol.Backend.ctf`."""
        out: FloatArray = self._module.ctf(rows, frequencies, mode, self._device)
        return out

    def polar_transform(self, *arguments: Any, **named: Any) -> tuple[ComplexArray, FloatArray]:
        """See `boxwood.backends.protocol.Backend.polar_transform`."""
        *rest, _ = bound(Backend.polar_transform, arguments, named)
        out: tuple[ComplexArray, FloatArray] = self._module.polar_transform(*rest, self._device)
        return out

    def polar_adjoint(self, *arguments: Any, **named: Any) -> FloatArray:
        """See `boxwood.backends.protocol.Backend.polar_adjoint`."""
        *rest, _ = bound(Backend.polar_adjoint, arguments, named)
        out: FloatArray = self._module.polar_adjoint(*rest, self._device)
        return out

    def expectation(self, *arguments: Any, **named: Any) -> dict[str, Any]:
        """See `boxwood.backends.protocol.Backend.expectation`."""
        *rest, _ = bound(Backend.expectation, arguments, named)
        out: dict[str, Any] = self._module.expectation(*rest, self._device)
        return out

    def __getattr__(self, kernel: str) -> Any:
        if kernel in vars(Backend):
            raise InputError(f"the CUDA backend has no kernel {kernel} yet; use the backend cpu")
        raise AttributeError(kernel)
