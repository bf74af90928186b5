"""Polar images that stay on CUDA devices between calls, and how a call names them."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from boxwood.typing import AnyArray


class ImageStore:
    """Memory of devices for the polar images of particles; see `boxwood.backends.protocol.Backend`.

    Parameters
    ----------
    module : module
        `boxwood._cuda`.
    devices : callable
        Those in use now; what another one holds is lost.
    particles, samples : int
        How many there are, and samples of each.
    failed : callable
        Called with a device and the error, when it does not take images.
    """

    def __init__(
        self,
        module: ModuleType,
        devices: Callable[[], list[int]],
        particles: int,
        samples: int,
        failed: Callable[[int, Exception], None],
    ) -> None:
        self._module, self._devices, self._failed = module, devices, failed
        self._device = np.full(particles, -1, dtype=np.int32)  # -1: nowhere
        self._slot = np.full(particles, -1, dtype=np.int32)
        self._number: dict[int, int] = {}
        self._room: dict[int, int] = {}
        self._used: dict[int, int] = {}
        share = -(-particles // max(len(devices()), 1))
        for device in devices():
            try:
                self._number[device], self._room[device] = module.make_image_store(share, samples, device)
            except module.CudaError as error:
                failed(device, error)
                continue
            self._used[device] = 0
            weakref.finalize(self, module.release_image_store, self._number[device])

    def device_of(self, particles: AnyArray) -> AnyArray:
        """(n,) the device that holds the image of each particle, -1 where none does."""
        held = np.isin(self._device[particles], self._usable())
        return np.where(held, self._device[particles], -1)

    def _usable(self) -> list[int]:
        return [device for device in self._devices() if device in self._number]

    def put(self, particles: AnyArray, transforms: AnyArray, ctf: AnyArray) -> None:
        """Take in images (n, samples) and CTFs (n, samples) as long as there is room; others are left out.

        New ones are shared out evenly, in the order given; one that was here before keeps its place.
        """
        new = particles[~np.isin(self._device[particles], self._usable())]
        devices = self._usable()
        for device, part in zip(devices, np.array_split(new, max(len(devices), 1)), strict=False):
            first = self._used[device]
            part = part[: self._room[device] - first]
            self._device[part], self._slot[part] = device, np.arange(first, first + len(part))
            self._used[device] += len(part)
        for device in devices:
            rows = np.flatnonzero(self._device[particles] == device)
            if len(rows) == 0:
                continue
            slots = self._slot[particles[rows]]
            try:
                self._module.put_images(self._number[device], slots, transforms[rows], ctf[rows])
            except self._module.StoreReleased:
                pass  # given up meanwhile
            except self._module.CudaError as error:
                self._failed(device, error)

    def give_up(self, device: int) -> bool:
        """Release the memory on a device; False if there is none."""
        number = self._number.pop(device, None)
        if number is None:
            return False
        self._module.release_image_store(number)
        return True

    def place(self, particles: AnyArray, device: int) -> tuple[AnyArray, int] | None:
        """Slots (n,) of these on a device, and the number of its store; None if that has been given up."""
        number = self._number.get(device)
        return None if number is None else (self._slot[particles], number)


@dataclass(frozen=True)
class StoredImages:
    """Images of one call of `Backend.expectation`, some of them in a store.

    Attributes
    ----------
    store : ImageStore
    particles : (n,) int
    sent : (n,) int
        Row of `transforms` and `ctf`, or -1 for those in store.
    transforms : (m, samples) complex64
    ctf : (m, samples) float32
    load : callable
        Transforms and CTFs of any particles, made again if need be, for when a device has been lost.
    """

    store: ImageStore
    particles: AnyArray
    sent: AnyArray
    transforms: AnyArray
    ctf: AnyArray
    load: Callable[[AnyArray], tuple[AnyArray, AnyArray]]

    def __len__(self) -> int:
        return len(self.particles)

    def __getitem__(self, rows: AnyArray) -> "StoredImages":
        sent = self.sent[rows]
        chosen = sent[sent >= 0]
        sent = np.where(sent >= 0, np.cumsum(sent >= 0) - 1, -1)
        whole = len(chosen) == len(self.transforms)  # in order, as rows always are
        transforms, ctf = (a if whole else a[chosen] for a in (self.transforms, self.ctf))
        return StoredImages(self.store, self.particles[rows], sent, transforms, ctf, self.load)

    def devices(self) -> AnyArray | None:
        """(n,) the device that holds each image, -1 for those to be sent; None if some have been lost."""
        device = np.where(self.sent >= 0, -1, self.store.device_of(self.particles))
        return device if ((device >= 0) | (self.sent >= 0)).all() else None

    def on_host(self) -> tuple[AnyArray, AnyArray]:
        """All transforms and CTFs, (n, samples)."""
        stored = self.sent < 0
        if not stored.any():
            return self.transforms, self.ctf
        loaded = self.load(self.particles[stored])
        both = []
        for mine, other in zip((self.transforms, self.ctf), loaded, strict=True):
            out = np.empty((len(self), other.shape[1]), other.dtype)
            out[stored], out[~stored] = other, mine[self.sent[~stored]]
            both.append(out)
        return both[0], both[1]
