"""Choose a backend by name."""

from typing import cast

from boxwood.backends.protocol import Backend
from boxwood.errors import InputError


def get_backend(name: str = "cpu") -> Backend:
    """Return the backend called `name`.

    Parameters
    ----------
    name : {"cpu", "cuda", "reference"}
        Compiled for this processor; compiled for a CUDA device; float64 NumPy (slow, for comparison).

    Raises
    ------
    InputError
        If there is no such backend, or it cannot be used on this machine.
    """
    if name == "cpu":
        from boxwood.backends import cpu

        return cast(Backend, cpu)
    if name == "cuda":
        from boxwood.backends.cuda import CudaBackend, load_module

        return cast(Backend, CudaBackend(load_module()))
    if name == "reference":
        from boxwood.backends import reference

        return cast(Backend, reference)
    raise InputError(f"backend {name!r} is unknown; choose cpu, cuda or reference")


def available_threads() -> int:
    """Processors this process may use."""
    from boxwood import _core

    return int(_core.available_threads())


def stop_kernels(stop: bool) -> None:
    """Ask the CPU kernels under way and to come, in any thread, to end; False takes that back.

    They end within about a tenth of a second, by `KeyboardInterrupt`.
    """
    from boxwood import _core

    _core.request_stop(stop)


def native_bf16() -> bool:
    """Whether the CPU kernels in use multiply bfloat16 numbers by instructions of their own."""
    from boxwood import _core
    from boxwood.backends import cpu  # heeds BOXWOOD_SIMD

    assert cpu.name == "cpu"
    return bool(_core.native_bf16())


def use_simd(name: str) -> bool:
    """Use the CPU kernels of this instruction set; False if it was not compiled or does not run here."""
    from boxwood import _core

    return bool(_core.use_simd(name))


def cpu_status() -> dict[str, list[str]]:
    """Instruction sets of the CPU kernels: which were compiled, which run here, which was chosen."""
    from boxwood import _core
    from boxwood.backends import cpu  # heeds BOXWOOD_SIMD

    assert cpu.name == "cpu"
    return {
        "compiled": _core.compiled_simd().split(),
        "runnable": _core.runnable_simd().split(),
        "chosen": [_core.simd()],
    }
