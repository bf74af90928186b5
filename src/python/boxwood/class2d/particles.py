"""The particles of a classification, in polar form."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from boxwood.backends import Backend
from boxwood.errors import InputError
from boxwood.imaging.masks import soft_circle
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
    """Masks, centres and transforms images, and remembers the transforms if all of them fit into memory.

    Parameters
    ----------
    source : ImageSource
    ctf : function of indices
        Returns (n, samples) float32.
    noise : BackgroundNoise, optional
        What fills the outside of the mask; default: zeros.
    poses : FixedPoses, optional
        Known angles and offsets, undone in the transforms.
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
        noise: "BackgroundNoise | None" = None,
        poses: "FixedPoses | None" = None,
    ) -> None:
        self.source, self.grid, self.mask, self.backend, self.threads = source, grid, mask, backend, threads
        self.centres = np.zeros((len(source), 2), dtype=np.int32)
        self._noise, self._poses, self._ctf_of = noise, poses, ctf
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
        if self._noise is not None:
            images = self._noise.fill(images, shifts, mask, indices)
            shifts, mask = np.zeros_like(shifts), self._noise.outer
        transform, power = self.backend.polar_transform(
            images, shifts, mask, self.grid.positions, self.threads
        )
        if self._poses is not None:
            transform = self._poses.apply(transform, indices, self.grid)
        ring_power = self.grid.ring_mean(np.abs(transform) ** 2, self.grid.rings)
        return PolarBatch(np.asarray(transform), ring_power.astype(np.float32), np.asarray(power))


class BackgroundNoise:
    """Gaussian noise with the spectrum of the particles, for the outside of the mask.

    Every particle has its own noise, the same in every iteration and after a restart.
    """

    def __init__(self, source: ImageSource, indices: AnyArray, seed: int) -> None:
        sample = source.read(indices[:: max(1, len(indices) // 500)])
        self.box = sample.shape[1]
        self._seed = seed
        power = (np.abs(np.fft.rfft2(sample)) ** 2).mean(axis=0)
        self._amplitude = np.sqrt(power / self.box**2)
        # Beyond the inscribed circle there is nothing: its corners would alias on the polar grid.
        self.outer = soft_circle((self.box, self.box), self.box / 2 - 3, 3).astype(np.float32)

    def fill(self, images: AnyArray, shifts: AnyArray, mask: AnyArray, indices: AnyArray) -> AnyArray:
        """Shift images by whole pixels and blend them with noise outside of the mask."""
        out = np.empty_like(images)
        for i, (image, (dx, dy), index) in enumerate(zip(images, shifts, indices, strict=True)):
            rng = np.random.default_rng([self._seed, int(index)])
            white = rng.standard_normal((self.box, self.box), dtype=np.float32)
            noise = np.fft.irfft2(np.fft.rfft2(white) * self._amplitude, s=white.shape)
            moved = np.roll(image, (dy, dx), axis=(0, 1))
            out[i] = moved * mask + noise * (1.0 - mask)
        return out


@dataclass(frozen=True)
class FixedPoses:
    """Angles and offsets that are known and not searched.

    Attributes
    ----------
    psi_deg : (n,) float64
    offset_px : (n, 2) float64
    """

    psi_deg: AnyArray
    offset_px: AnyArray

    def apply(self, transform: AnyArray, indices: AnyArray, grid: PolarGrid) -> AnyArray:
        """Shift by the offset and turn into the frame of the reference."""
        shifted = transform * grid.shift_phases(self.offset_px[indices], transform.shape[1])
        out = np.empty_like(transform)
        psi = np.deg2rad(self.psi_deg[indices])[:, None]
        for r, n in enumerate(grid.ring_samples):
            m = np.fft.fftfreq(n, 1.0 / n)
            circle = np.fft.fft(grid.full_circle(shifted, r), axis=1) * np.exp(-1j * psi * m)
            part = slice(grid.sample_start[r], grid.sample_start[r + 1])
            out[:, part] = np.fft.ifft(circle, axis=1)[:, : n // 2]
        return out


def usable(images: AnyArray) -> AnyArray:
    """(n,) bool: finite, not constant, and of a size that arithmetic in float32 survives."""
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = images.min(axis=(1, 2)), images.max(axis=(1, 2))
        return np.isfinite(low) & np.isfinite(high) & (high > low) & (np.maximum(-low, high) < 1e6)
