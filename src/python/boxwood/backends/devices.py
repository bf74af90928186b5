"""A backend that spreads images over CUDA devices, and falls back when one is lost."""

import inspect
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from threading import Lock
from types import ModuleType
from typing import Any

import numpy as np

from boxwood.backends.image_store import ImageStore, StoredImages
from boxwood.backends.protocol import Backend
from boxwood.errors import InputError
from boxwood.stopping import check_stop
from boxwood.typing import AnyArray

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

    Each of several devices works on its share of the images: those it has in store, and an equal part of the
    others. A device that fails (it has too little memory, even without its store, or it has disappeared) is
    left out from then on, and its share is done by the others, or, without any, by `fallback`.

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
        self._stores: weakref.WeakSet[ImageStore] = weakref.WeakSet()

    @property
    def name(self) -> str:
        """ "cuda" with the devices in use, or the fallback's name once there are none."""
        if not self._devices and self._fallback is not None:
            return self._fallback.name
        return f"cuda:{','.join(map(str, self._devices))}"

    def image_store(self, particles: int, samples: int) -> ImageStore | None:
        """See `boxwood.backends.protocol.Backend.image_store`."""
        store = ImageStore(self._module, lambda: list(self._devices), particles, samples, self._failed)
        self._stores.add(store)
        return store

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
            return self._run(_Call.of(kernel, values))

        return call

    def _run(self, call: "_Call") -> Any:
        devices = list(self._devices)
        if not devices:
            return call.on_host().on_cpu(self._fallback)
        if len(devices) > 1 and not call.per_image:  # in turn
            devices = [devices[next(self._turns) % len(devices)]]
        parts = call.split(devices)
        if len(parts) == 1:
            return self._run_part(*parts[0])
        with ThreadPoolExecutor(len(parts)) as pool:
            results = list(pool.map(lambda part: self._run_part(*part), parts))
        return _joined(results, np.concatenate([part.rows for _, part in parts]))

    def _run_part(self, device: int, part: "_Call") -> Any:
        try:
            return part.on_device(self._module, device)
        except self._module.StoreReleased:
            pass  # given up meanwhile, for want of memory: now its images are sent
        except self._module.CudaError as error:
            self._failed(device, error)
        return self._run(part)

    def _failed(self, device: int, error: Exception) -> None:
        """Give up the images in the memory of a device that has too little, or else the device."""
        with self._lock:
            if isinstance(error, self._module.OutOfMemory):
                released = [store.give_up(device) for store in list(self._stores)]
                if any(released):
                    self._warn(f"{error}; the images on device {device} are sent to it anew every time")
                    return
            if self._fallback is None:
                raise error
            if device not in self._devices:
                return
            self._devices.remove(device)
        others = self.name if self._devices else f"the backend {self._fallback.name}"
        self._warn(f"{error}; going on without device {device}, on {others}")


@dataclass(frozen=True)
class _Call:
    """A kernel and its arguments by name, in order, and which rows of the whole call they are."""

    kernel: str
    values: dict[str, Any]
    per_image: tuple[str, ...]
    rows: AnyArray

    @classmethod
    def of(cls, kernel: str, values: dict[str, Any]) -> "_Call":
        per_image = _PER_IMAGE.get(kernel, ())
        n = len(values[per_image[0]]) if per_image else 1
        return cls(kernel, values, per_image, np.arange(n))

    def split(self, devices: list[int]) -> "list[tuple[int, _Call]]":
        """Each device's share: what it has in store, and about equal parts of the rest."""
        call, n = self, len(self.rows)
        images = self.values.get("images")
        holder = images.devices() if isinstance(images, StoredImages) else np.full(n, -1)
        if holder is None or not np.isin(holder, [-1, *devices]).all():
            call, holder = self.on_host(), np.full(n, -1)
        if len(devices) == 1:
            return [(devices[0], call)]
        shares = np.array_split(np.flatnonzero(holder == -1), len(devices))
        parts = [
            (device, np.sort(np.concatenate([np.flatnonzero(holder == device), share])))
            for device, share in zip(devices, shares, strict=True)
        ]
        return [(device, call._part(rows)) for device, rows in parts if len(rows)] or [(devices[0], call)]

    def _part(self, rows: AnyArray) -> "_Call":
        own = {k: self.values[k][rows] for k in self.per_image if self.values[k] is not None}
        return _Call(self.kernel, self.values | own, self.per_image, rows)

    def on_host(self) -> "_Call":
        """The same with all images in host memory."""
        images = self.values.get("images")
        if not isinstance(images, StoredImages):
            return self
        transforms, ctf = images.on_host()
        return _Call(self.kernel, self.values | {"images": transforms, "ctf": ctf}, self.per_image, self.rows)

    def on_device(self, module: ModuleType, device: int) -> Any:
        # The last argument of a kernel is `threads`, which a device has no use for, where it has one.
        values = {name: value for name, value in self.values.items() if name != "threads"}
        images = values.get("images")
        if not isinstance(images, StoredImages):
            return getattr(module, self.kernel)(*values.values(), device)
        place = images.store.place(images.particles, device)
        if place is None or (images.sent >= 0).all():
            return self.on_host().on_device(module, device)
        slots, number = place
        values |= {"images": images.transforms, "ctf": images.ctf}
        slots = np.where(images.sent < 0, slots, -1).astype(np.int32)
        return getattr(module, self.kernel)(*values.values(), device, slots=slots, store=number)

    def on_cpu(self, backend: Backend | None) -> Any:
        values = dict(self.values)
        if values.get("precision") == "tf32":  # which it does not have
            values["precision"] = "float32"
        return getattr(backend, self.kernel)(**values)


def _joined(parts: list[Any], rows: AnyArray) -> Any:
    """One result from those of parts; `rows` of the whole are theirs, one after the other."""
    order = np.argsort(rows)

    def together(values: list[AnyArray]) -> AnyArray:
        joined = np.concatenate(values)
        return joined if (np.diff(rows) > 0).all() else joined[order]

    first = parts[0]
    if isinstance(first, dict):
        return {
            name: sum(p[name] for p in parts) if name in _SUMS else together([p[name] for p in parts])
            for name in first
        }
    if isinstance(first, tuple):
        return tuple(together(list(values)) for values in zip(*parts, strict=True))
    return together(parts)
