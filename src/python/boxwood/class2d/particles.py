"""The particles of a classification, in polar form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.optics import SampledOptics
from boxwood.class2d.screening import Fault, image_faults
from boxwood.class2d.source import ImageSource
from boxwood.errors import InputError
from boxwood.imaging.masks import soft_circle
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class PolarBatch:
    """Some particles on the polar grid.

    Attributes
    ----------
    indices : (n,) int
        Which ones: those asked for, without those that cannot be used.
    ctf : (n, samples) float32
    transform : (n, samples) complex64
    ring_power : (n, rings) float32
        Mean |F|^2 on each ring.
    total_power : (n,) float32
        Sum of squares of the masked image.
    """

    indices: AnyArray
    ctf: AnyArray
    transform: AnyArray
    ring_power: AnyArray
    total_power: AnyArray


class PolarParticles:
    """Screens, masks, centres and transforms images, and remembers as many transforms as may be.

    Parameters
    ----------
    source : ImageSource
    grid : PolarGrid
    optics : sequence of SampledOptics
        The first is the model's.
    optics_of : (n,) int
        Which of them each particle has.
    ctf_rows : (n, 9) float64, optional
    ctf_mode : int
    faults : (n,) int8
        `Fault` of what is known already; what is found when images are read is added.
    usual : (groups,) float64
        Standard deviation of an ordinary image of each optics group.
    memory_gib : float
        Transforms of the first particles are kept until they fill this; the others are made again whenever
        they are asked for, with the same result.
    noise : BackgroundNoise of each optics group, optional
        What fills the outside of the mask; default: zeros.
    poses : FixedPoses, optional
        Known angles and offsets, undone in the transforms.
    """

    def __init__(
        self,
        source: ImageSource,
        grid: PolarGrid,
        optics: Sequence[SampledOptics],
        optics_of: AnyArray,
        ctf_rows: AnyArray | None,
        ctf_mode: int,
        faults: AnyArray,
        usual: AnyArray,
        backend: Backend,
        threads: int,
        memory_gib: float,
        noise: "Sequence[BackgroundNoise | None] | None" = None,
        poses: "FixedPoses | None" = None,
    ) -> None:
        self.source, self.grid, self.backend, self.threads = source, grid, backend, threads
        self.optics, self.optics_of, self.faults, self._usual = optics, optics_of, faults, usual
        self.mask = optics[0].mask
        self.centres = np.zeros((len(source), 2), dtype=np.int32)
        self._noise, self._poses, self._ctf_rows, self._ctf_mode = noise, poses, ctf_rows, ctf_mode
        n, samples = len(source), int(grid.sample_start[-1])
        kept = min(n, int(memory_gib * 2**30 / (8 * samples + 4 * grid.rings + 4)))
        self._transform = np.empty((kept, samples), dtype=np.complex64)
        self._ring_power = np.empty((kept, grid.rings), dtype=np.float32)
        self._total_power = np.empty(kept, dtype=np.float32)
        self._fresh, self._screened = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)

    def __len__(self) -> int:
        return len(self.source)

    def mask_pixels(self, indices: AnyArray) -> AnyArray:
        """(n,) pixels inside each particle's mask."""
        return np.array([optics.mask.sum() for optics in self.optics])[self.optics_of[indices]]

    def move(self, indices: AnyArray, centres: AnyArray) -> None:
        """Set the whole-pixel centres of particles; their transforms are made anew where they moved."""
        moved = np.any(self.centres[indices] != centres, axis=1)
        self.centres[indices] = centres
        self._fresh[indices[moved]] = False

    def batch(self, indices: AnyArray) -> PolarBatch:
        """Transforms of those of some particles that can be used."""
        indices = indices[self.faults[indices] == Fault.NONE]
        stale = indices[~self._fresh[indices]]
        made = self._make(stale) if len(stale) else None
        if made is not None:
            self._keep(*made)
            indices = indices[self.faults[indices] == Fault.NONE]
        ctf = self.ctf(indices)
        if made is not None and len(made[0]) == len(indices):
            return PolarBatch(indices, ctf, *made[1:])
        kept = (self._transform, self._ring_power, self._total_power)
        if made is None or (indices < len(self._transform)).all():
            return PolarBatch(indices, ctf, *(values[indices] for values in kept))
        # Some were kept, the others have been made just now.
        parts = [np.empty((len(indices), *values.shape[1:]), values.dtype) for values in kept]
        fresh = ~np.isin(indices, made[0])
        for part, old, new in zip(parts, kept, made[1:], strict=True):
            part[fresh], part[~fresh] = old[indices[fresh]], new
        return PolarBatch(indices, ctf, *parts)

    def _keep(self, indices: AnyArray, *made: AnyArray) -> None:
        room = indices < len(self._transform)
        for kept, new in zip((self._transform, self._ring_power, self._total_power), made, strict=True):
            kept[indices[room]] = new[room]
        self._fresh[indices[room]] = True

    def ctf(self, indices: AnyArray) -> AnyArray:
        """(n, samples) float32, computed anew."""
        out = np.empty((len(indices), int(self.grid.sample_start[-1])), dtype=np.float32)
        for group, places in by_group(self.optics_of[indices]):
            chosen = indices[places]
            out[places] = self.optics[group].ctf(
                None if self._ctf_rows is None else self._ctf_rows[chosen],
                len(chosen),
                None if self._poses is None else self._poses.psi_deg[chosen],
                self._ctf_mode,
                self.backend,
                self.threads,
            )
        return out

    def read(self, group: int, rows: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Images (n, box, box) of some particles of one optics group, and (n,) bool: which can be used."""
        images, expected = self.source.read(rows), self.optics[group].mask.shape
        if images.shape[1:] != expected:
            raise InputError(f"particles are {images.shape[1:]} px, expected {expected}")
        if not self._screened[rows].all():
            self.faults[rows] = image_faults(images, self._usual[group])
            self._screened[rows] = True
        return images, self.faults[rows] == Fault.NONE

    def _make(self, indices: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
        """Read, screen and transform: those that can be used, their transforms, ring and total power."""
        transform = np.zeros((len(indices), int(self.grid.sample_start[-1])), dtype=np.complex64)
        power = np.zeros(len(indices), dtype=np.float32)
        for group, places in by_group(self.optics_of[indices]):
            optics, rows = self.optics[group], indices[places]
            images, fine = self.read(group, rows)
            if not fine.all():
                images, places, rows = images[fine], places[fine], rows[fine]
            centres, mask = self.centres[rows], None
            noise = None if self._noise is None else self._noise[group]
            if noise is not None:
                shifts = np.rint(optics.offsets_in_image(centres)).astype(np.int32)
                images = noise.fill(images, shifts, optics.mask, rows)
                centres, mask = np.zeros_like(centres), noise.outer
            transform[places], power[places] = optics.transform(
                images, centres, self.backend, self.threads, mask
            )
        fine = self.faults[indices] == Fault.NONE
        if not fine.all():
            indices, transform, power = indices[fine], transform[fine], power[fine]
        if self._poses is not None:
            transform = self._poses.apply(transform, indices, self.grid)
        ring_power = self.grid.ring_mean(transform.real**2 + transform.imag**2, self.grid.rings)
        return indices, np.asarray(transform), ring_power.astype(np.float32), power


def by_group(groups: AnyArray) -> Iterator[tuple[int, AnyArray]]:
    """Every group that occurs and the places where it does."""
    for group in np.unique(groups):
        yield int(group), np.flatnonzero(groups == group)


class BackgroundNoise:
    """Gaussian noise with the spectrum of the particles, for the outside of the mask.

    Every particle has its own noise, the same in every iteration and after a restart.
    """

    def __init__(self, sample: AnyArray, seed: int) -> None:
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
            weight = mask.copy()  # what comes in from the other side is no part of the image
            weight[: max(dy, 0)], weight[self.box + min(dy, 0) :] = 0, 0
            weight[:, : max(dx, 0)], weight[:, self.box + min(dx, 0) :] = 0, 0
            out[i] = np.roll(image, (dy, dx), axis=(0, 1)) * weight + noise * (1.0 - weight)
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
