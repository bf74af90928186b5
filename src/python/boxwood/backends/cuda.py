"""The CUDA kernels, on one device or several. NumPy arrays in, NumPy arrays out."""

import importlib
import importlib.util
from types import ModuleType

from boxwood.errors import InputError

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
            f"the CUDA backend is built ({_version(module)}), but unavailable because the driver offers no "
            f"device ({error}); see what `nvidia-smi` says, or use the backend cpu"
        ) from error
    return module


def cuda_status() -> str:
    """One line for people: the CUDA version and devices in use, or why there are none."""
    try:
        module = load_module()
    except InputError as error:
        return str(error)
    return f"{_version(module)}, devices: {', '.join(module.device_names())}"


def _version(module: ModuleType) -> str:
    major, minor = divmod(module.cuda_version // 10, 100)
    return f"CUDA {major}.{minor}"
