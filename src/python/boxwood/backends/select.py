"""Choose a backend by name."""

from collections.abc import Callable
from typing import Literal, cast

from boxwood.backends.protocol import Backend
from boxwood.errors import InputError

# Kernels that "auto" can try backends with.
Work = Literal["expectation", "log_pick_maps", "extract"]


def get_backend(
    name: str | Backend = "cpu",
    warn: Callable[[str], None] | None = None,
    work: Work = "expectation",
) -> Backend:
    """Return the backend called `name`; one that has been chosen is returned as it is.

    Parameters
    ----------
    name : {"cpu", "cuda", "cuda:0,1", "auto", "reference"}
        Compiled for this processor; for a CUDA device, or these; whichever of both is faster; float64 NumPy
        (slow, for comparison).
    warn : callable, optional
        Called with a sentence when a device fails and the CPU goes on in its place, and with what "auto"
        chose if that is not the CPU. Without it devices that fail raise an error.
    work : str
        The kernel that "auto" tries backends with.

    Returns
    -------
    Backend

    Raises
    ------
    InputError
        If there is no such backend, or it cannot be used on this machine.
    """
    if not isinstance(name, str):
        return name
    if name == "auto":
        return _fastest(warn, work)
    if name == "cpu":
        from boxwood.backends import cpu

        return cast(Backend, cpu)
    if name == "cuda" or name.startswith("cuda:"):
        from boxwood.backends.cuda import load_module
        from boxwood.backends.devices import CudaBackend

        module = load_module()
        devices = _devices(name, len(module.device_names()))
        if warn is None:
            return cast(Backend, CudaBackend(module, devices))
        return cast(Backend, CudaBackend(module, devices, get_backend("cpu"), warn))
    if name == "reference":
        from boxwood.backends import reference

        return cast(Backend, reference)
    raise InputError(f"backend {name!r} is unknown; choose auto, cpu, cuda, cuda:0,1 or reference")


def get_worker_backend(name: str, warn: Callable[[str], None]) -> Backend:
    """Return what a worker uses for a job whose own backend is called `name`.

    Devices have numbers of their own there, and other workers may be on the same computer: a worker uses the
    first device that CUDA_VISIBLE_DEVICES shows it, or, where it sees none, the CPU, and says so by `warn`.
    """
    if not name.startswith("cuda"):
        return get_backend(name)
    try:
        return get_backend("cuda", warn)
    except InputError as error:
        warn(f"{error}; this worker goes on with the CPU")
        return get_backend("cpu")


def _devices(name: str, count: int) -> list[int]:
    """Numbers of "cuda:0,1", or the first device."""
    words = name.removeprefix("cuda").removeprefix(":")
    try:
        devices = [int(word) for word in words.split(",")] if ":" in name else [0]
    except ValueError:
        raise InputError(f"backend {name!r} is not understood; write cuda:0 or cuda:0,1") from None
    for device in devices:
        if not 0 <= device < count:
            raise InputError(f"backend {name!r}: there is no device {device}, but {count} from 0 on")
    if len(set(devices)) < len(devices):
        raise InputError(f"backend {name!r} names a device twice")
    return devices


def _fastest(warn: Callable[[str], None] | None, work: str) -> Backend:
    """All CUDA devices if there are any and they are faster than the CPU at a small piece of work."""
    from boxwood.backends.cuda import load_module
    from boxwood.backends.trial import seconds_of_trial

    cpu = get_backend("cpu")
    try:
        module = load_module()
    except InputError:
        return cpu
    name = "cuda:" + ",".join(map(str, range(len(module.device_names()))))
    try:
        ratio = seconds_of_trial(cpu, available_threads(), work) / seconds_of_trial(
            get_backend(name), 1, work
        )
    except module.CudaError as error:
        if warn is not None:
            warn(f"using the CPU, because {name} failed at a small piece of work ({error})")
        return cpu
    if ratio <= 1:
        return cpu
    if warn is not None:
        warn(f"using {name}, {ratio:.1f} times as fast as the CPU")
    return get_backend(name, warn)


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
