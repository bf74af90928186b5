"""The particles of a classification, in polar form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from boxwood.backends import Backend
from boxwood.errors import InputError
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray


class ImageSource(Protocol):
    """Where images come from: an array, or stacks on disc."""

    def __len__(self) -> int: ...

    def read(self, indices: AnyArray) -> AnyArray:
        """(len(indices), box, box) float32; unreadable images are filled with NaN."""
        ...


@dataclass(frozen=True)
class ArraySource:
    """Images that are in memory already, (n, box, box)."""

    images: AnyArray

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: AnyArray) -> AnyArray:
        return np.asarray(self.images[indices], dtype=np.float32)


@dataclass(frozen=True)
class PolarBatch:
    """Some particles on the polar grid.

    Attributes
    ----------
    transform : (n, samples) complex64
    ring_power : (n, rings) float32
        Mean |F|^2 on each ring.
    total_power : (n,) float32
        Sum of squares of the masked image.
    """

    transform: AnyArray
    ring_power: AnyArray
    total_power: AnyArray


class PolarParticles:
    """Masks, centres and transforms images, and remembers the transforms as far as memory allows.

    Parameters
    ----------
    source : ImageSource
    ctf : (n, samples) float32 or a function of indices returning it
    fill : function (images, indices) -> images, or None
        Puts noise outside of the mask, for the option not to mask with zeros.
    """

    def __init__(
        self,
        source: ImageSource,
        grid: PolarGrid,
        mask: AnyArray,
        ctf: Callable[[AnyArray], AnyArray],
        backend: Backend,
        threads: int,
        memory_gib: float,
        fill: Callable[[AnyArray, AnyArray], AnyArray] | None = None,
    ) -> None:
        self.source, self.grid, self.mask, self.backend, self.threads = source, grid, mask, backend, threads
        self.centres = np.zeros((len(source), 2), dtype=np.int32)
        self._fill = fill
        self._ctf_of = ctf
        n, samples = len(source), int(grid.sample_start[-1])
        self._cached = n * samples * 12 < memory_gib * 2**30
        if self._cached:
            self._transform = np.empty((n, samples), dtype=np.complex64)
            self._ctf = np.empty((n, samples), dtype=np.float32)
            self._ring_power = np.empty((n, grid.rings), dtype=np.float32)
            self._total_power = np.empty(n, dtype=np.float32)
        self._fresh = np.zeros(n, dtype=bool)
        self._ctf_known = np.zeros(n, dtype=bool)

    def __len__(self) -> int:
        return len(self.source)

    def move(self, indices: AnyArray, centres: AnyArray) -> None:
        """Set the whole-pixel centres of particles; their transforms are made anew where they moved."""
        moved = np.any(self.centres[indices] != centres, axis=1)
        self.centres[indices] = centres
        self._fresh[indices[moved]] = False

    def forget(self) -> None:
        """Make all transforms anew, because the noise that fills the background has changed."""
        self._fresh[:] = False

    def batch(self, indices: AnyArray) -> PolarBatch:
        """Transforms of some particles."""
        if not self._cached:
            return self._make(indices)
        stale = indices[~self._fresh[indices]]
        if len(stale):
            new = self._make(stale)
            self._transform[stale] = new.transform
            self._ring_power[stale] = new.ring_power
            self._total_power[stale] = new.total_power
            self._fresh[stale] = True
        return PolarBatch(self._transform[indices], self._ring_power[indices], self._total_power[indices])

    def ctf(self, indices: AnyArray) -> AnyArray:
        """(n, samples) float32."""
        if not self._cached:
            return self._ctf_of(indices)
        missing = indices[~self._ctf_known[indices]]
        if len(missing):
            self._ctf[missing] = self._ctf_of(missing)
            self._ctf_known[missing] = True
        return self._ctf[indices]

    def _make(self, indices: AnyArray) -> PolarBatch:
        images = self.source.read(indices)
        if images.shape[1:] != self.mask.shape:
            raise InputError(f"particles are {images.shape[1:]} px, expected {self.mask.shape}")
        shifts, mask = self.centres[indices], self.mask
        if self._fill is not None:
            images, shifts, mask = self._fill(images, indices), np.zeros_like(shifts), np.ones_like(mask)
        transform, power = self.backend.polar_transform(images, shifts, mask, self.grid.positions, self.threads)
        ring_power = self.grid.ring_mean(np.abs(transform) ** 2, self.grid.rings)
        return PolarBatch(np.asarray(transform), ring_power.astype(np.float32), np.asarray(power))


def usable(images: AnyArray) -> AnyArray:
    """(n,) bool: finite, not constant, and of a size that arithmetic in float32 survives."""
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = images.min(axis=(1, 2)), images.max(axis=(1, 2))
        return np.isfinite(low) & np.isfinite(high) & (high > low) & (np.maximum(-low, high) < 1e6)
