"""A backend that spreads images over CUDA devices, and falls back when one is lost."""

import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count, pairwise
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np

from boxwood.backends.protocol import Backend
from boxwood.errors import InputError
from boxwood.stopping import check_stop

# Arguments with one row per image, by kernel; kernels that are not named here run on one device, in turn.
_PER_IMAGE = {
    "ctf": ("rows",),
    "polar_transform": ("images", "shifts"),
    "polar_adjoint": ("samples",),
    "expectation": ("images", "ctf", "group", "scale", "log_prior_offset", "coarse_log_prior_offset"),
}
# What a kernel returns as a sum over images, not one row for each.
_SUMS = ("numerator", "denominator")


class CudaBackend:
    """Kernels of CUDA devices, called as `boxwood.backends.protocol.Backend` says.

    Each of several devices works on its share of the images. A device that fails (it has too little memory,
    or it has disappeared) is left out from then on, and its share is done by the others, or, without any, by
    `fallback`.

    Parameters
    ----------
    module : module
        `boxwood._cuda`.
    devices : sequence of int
    fallback : Backend, optional
        Without one, errors of devices are raised.
    warn : callable
        Called with a sentence when a device is left out.
    """

    def __init__(
        self,
        module: ModuleType,
        devices: Sequence[int] = (0,),
        fallback: Backend | None = None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._module, self._devices = module, list(devices)
        self._fallback, self._warn = fallback, warn
        self._turns, self._lock = count(), Lock()

    @property
    def name(self) -> str:
        """ "cuda" with the devices in use, or the fallback's name once there are none."""
        if not self._devices and self._fallback is not None:
            return self._fallback.name
        return f"cuda:{','.join(map(str, self._devices))}"

    def __getattr__(self, kernel: str) -> Any:
        if kernel.startswith("_") or not callable(vars(Backend).get(kernel)):
            raise AttributeError(kernel)
        if not hasattr(self._module, kernel):
            if self._fallback is None:
                raise InputError(f"the CUDA backend has no kernel {kernel} yet; use the backend cpu")
            return getattr(self._fallback, kernel)
        signature = inspect.signature(getattr(Backend, kernel))

        def call(*arguments: Any, **named: Any) -> Any:
            check_stop()
            values = dict(signature.bind(self, *arguments, **named).arguments)
            del values["self"]
            return self._run(_Call(kernel, values, _PER_IMAGE.get(kernel, ())))

        return call

    def _run(self, call: "_Call") -> Any:
        devices = list(self._devices)
        if not devices:
            return call.on_cpu(self._fallback)
        parts = call.split(len(devices))
        if len(parts) == 1:
            return self._run_part(parts[0], devices[next(self._turns) % len(devices)])
        with ThreadPoolExecutor(len(parts)) as pool:
            return _joined(list(pool.map(self._run_part, parts, devices)))

    def _run_part(self, part: "_Call", device: int) -> Any:
        try:
            return part.on_device(self._module, device)
        except self._module.CudaError as error:
            if self._fallback is None:
                raise
            with self._lock:
                lost = device in self._devices
                if lost:
                    self._devices.remove(device)
            if lost:
                others = self.name if self._devices else f"the backend {self._fallback.name}"
                self._warn(f"{error}; going on without device {device}, on {others}")
        return self._run(part)


@dataclass(frozen=True)
class _Call:
    """A kernel and its arguments by name, in order."""

    kernel: str
    values: dict[str, Any]
    per_image: tuple[str, ...]

    def split(self, parts: int) -> "list[_Call]":
        """About equal shares of the images, at most one for each."""
        n = len(self.values[self.per_image[0]]) if self.per_image else 1
        parts = max(1, min(parts, n))
        borders = [n * i // parts for i in range(parts + 1)]
        return [self._rows(slice(*pair)) for pair in pairwise(borders)]

    def _rows(self, rows: slice) -> "_Call":
        own = {k: self.values[k][rows] for k in self.per_image if self.values[k] is not None}
        return _Call(self.kernel, self.values | own, self.per_image)

    def on_device(self, module: ModuleType, device: int) -> Any:
        # The last argument of a kernel is `threads`, which a device has no use for, where it has one.
        values = [value for name, value in self.values.items() if name != "threads"]
        return getattr(module, self.kernel)(*values, device)

    def on_cpu(self, backend: Backend | None) -> Any:
        return getattr(backend, self.kernel)(**self.values)


def _joined(parts: list[Any]) -> Any:
    """One result from those of consecutive images."""
    first = parts[0]
    if isinstance(first, dict):
        return {
            name: sum(p[name] for p in parts) if name in _SUMS else np.concatenate([p[name] for p in parts])
            for name in first
        }
    if isinstance(first, tuple):
        return tuple(np.concatenate(values) for values in zip(*parts, strict=True))
    return np.concatenate(parts)
