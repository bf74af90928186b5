"""The particles of a classification, in polar form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.groups import Groups
from boxwood.class2d.optics import SampledOptics
from boxwood.class2d.screening import Fault, image_faults, normalised
from boxwood.class2d.source import ImageSource, Selected
from boxwood.class2d.transforms import Transforms
from boxwood.errors import InputError
from boxwood.imaging.masks import soft_circle
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray


@dataclass
class Rows:
    """What is known of particles, a row each. Some of them are all that another process needs of these.

    Attributes
    ----------
    index : (n,) int64
        In the whole set.
    source : ImageSource or Selected
        Of these images.
    groups : Groups
    centres : (n, 2) int32
        Whole pixels of the model, around which offsets are searched.
    faults : (n,) int8
        `Fault` of what is known already; what is found when images are read is added.
    screened : (n,) bool
        Whether the image has been looked at.
    norm : (n,) float64
        Of the model that is searched with.
    ctf_rows : (n, 9) float64, optional
    poses : FixedPoses, optional
        Known angles and offsets, undone in the transforms.
    """

    index: AnyArray
    source: ImageSource
    groups: Groups
    centres: AnyArray
    faults: AnyArray
    screened: AnyArray
    norm: AnyArray
    ctf_rows: AnyArray | None = None
    poses: "FixedPoses | None" = None

    @classmethod
    def of(
        cls,
        source: ImageSource,
        groups: Groups,
        faults: AnyArray,
        ctf_rows: AnyArray | None,
        poses: "FixedPoses | None",
    ) -> "Rows":
        """The whole set, centred in its boxes; `faults` is not copied."""
        n = len(source)
        centres, none = np.zeros((n, 2), dtype=np.int32), np.zeros(n, dtype=bool)
        return cls(np.arange(n), source, groups, centres, faults, none, np.ones(n), ctf_rows, poses)

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: AnyArray) -> "Rows":
        """Some of them, as copies."""
        return Rows(
            self.index[rows],
            Selected.of(self.source, rows),
            self.groups.take(rows),
            self.centres[rows],
            self.faults[rows],
            self.screened[rows],
            self.norm[rows],
            None if self.ctf_rows is None else self.ctf_rows[rows],
            None if self.poses is None else self.poses.take(rows),
        )


@dataclass(frozen=True)
class PolarForm:
    """How images become transforms on the polar grid: the same for all particles and iterations.

    Attributes
    ----------
    key : str
        Of one classification alone.
    particles : int
        In the whole set.
    grid : PolarGrid
    optics : sequence of SampledOptics
        The first is the model's.
    usual : (groups,) float64
        Standard deviation of an ordinary image of each optics group.
    ctf_mode : int
    memory_gib : float
        A process keeps transforms until they fill this; the others are made again whenever they are asked
        for, with the same result.
    noise : BackgroundNoise of each optics group, optional
        What fills the outside of the mask; default: zeros.
    background_px : (groups,) float64, optional
        Images are normalised by what is farther than this from their origin; default: not at all.
    """

    key: str
    particles: int
    grid: PolarGrid
    optics: Sequence[SampledOptics]
    usual: AnyArray
    ctf_mode: int
    memory_gib: float
    noise: "Sequence[BackgroundNoise | None] | None" = None
    background_px: AnyArray | None = None

    def engine(self, backend: Backend, threads: int) -> "Engine":
        """What a process makes transforms with."""
        samples = int(self.grid.sample_start[-1])
        known = Transforms(self.particles, samples, self.grid.rings, self.memory_gib)
        return Engine(backend, threads, known)


@dataclass(frozen=True)
class Engine:
    """What one process computes with, and the transforms that it has made."""

    backend: Backend
    threads: int
    known: Transforms


@dataclass(frozen=True)
class PolarBatch:
    """Some particles on the polar grid.

    Attributes
    ----------
    rows : Rows
        Those asked for, without those that cannot be used.
    ctf : (n, samples) float32
    transform : (n, samples) complex64
    ring_power : (n, rings) float32
        Mean |F|^2 on each ring.
    total_power : (n,) float32
        Sum of squares of the masked image.
    """

    rows: Rows
    ctf: AnyArray
    transform: AnyArray
    ring_power: AnyArray
    total_power: AnyArray


class PolarParticles:
    """Screens, masks, centres and transforms images, and remembers as many transforms as may be."""

    def __init__(self, form: PolarForm, rows: Rows, engine: Engine) -> None:
        self.form, self.rows, self.engine = form, rows, engine

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def grid(self) -> PolarGrid:
        return self.form.grid

    @property
    def mask(self) -> AnyArray:
        """(box, box) float32 that of the model."""
        return self.form.optics[0].mask

    def move(self, indices: AnyArray, centres: AnyArray) -> None:
        """Set the whole-pixel centres of particles; their transforms are made anew where they moved."""
        self.rows.centres[indices] = centres

    def batch(self) -> PolarBatch:
        """Transforms of those particles that can be used."""
        rows, known = self.rows, self.engine.known
        usable = np.flatnonzero(rows.faults == Fault.NONE)
        old = known.knows(rows.index[usable], rows.centres[usable])
        made = self._make(usable[~old])
        known.keep(rows.index[made[0]], rows.centres[made[0]], made[1:])
        if len(made[0]) < (~old).sum():  # some turned out to have a fault
            fine = rows.faults[usable] == Fault.NONE
            usable, old = usable[fine], old[fine]
        ctf = self.ctf(usable)
        usable_rows = rows if len(usable) == len(rows) else rows.take(usable)
        if not old.any():
            return PolarBatch(usable_rows, ctf, *made[1:])
        kept = known[rows.index[usable[old]]]
        if old.all():
            return PolarBatch(usable_rows, ctf, *kept)
        parts = [np.empty((len(usable), *values.shape[1:]), values.dtype) for values in kept]
        for part, before, now in zip(parts, kept, made[1:], strict=True):
            part[old], part[~old] = before, now
        return PolarBatch(usable_rows, ctf, *parts)

    def ctf(self, indices: AnyArray) -> AnyArray:
        """(n, samples) float32, computed anew."""
        rows, engine = self.rows, self.engine
        out = np.empty((len(indices), int(self.grid.sample_start[-1])), dtype=np.float32)
        for group, places in by_group(rows.groups.optics[indices]):
            chosen = indices[places]
            out[places] = self.form.optics[group].ctf(
                None if rows.ctf_rows is None else rows.ctf_rows[chosen],
                len(chosen),
                None if rows.poses is None else rows.poses.psi_deg[chosen],
                self.form.ctf_mode,
                engine.backend,
                engine.threads,
            )
        return out

    def read(self, group: int, indices: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Images (n, box, box) of some particles of one optics group, and (n,) bool: which can be used."""
        form, rows = self.form, self.rows
        images, expected = rows.source.read(indices), form.optics[group].mask.shape
        if images.shape[1:] != expected:
            raise InputError(f"particles are {images.shape[1:]} px, expected {expected}")
        if form.background_px is not None:
            radius = float(form.background_px[group])
            images = normalised(images, radius, self.engine.backend, self.engine.threads)
        if not rows.screened[indices].all():
            rows.faults[indices] = image_faults(images, form.usual[group])
            rows.screened[indices] = True
        return images, rows.faults[indices] == Fault.NONE

    def _make(self, indices: AnyArray) -> tuple[AnyArray, AnyArray, AnyArray, AnyArray]:
        """Read, screen and transform: those that can be used, their transforms, ring and total power."""
        form, rows, engine = self.form, self.rows, self.engine
        transform = np.zeros((len(indices), int(self.grid.sample_start[-1])), dtype=np.complex64)
        power = np.zeros(len(indices), dtype=np.float32)
        for group, places in by_group(rows.groups.optics[indices]):
            optics, chosen = form.optics[group], indices[places]
            images, fine = self.read(group, chosen)
            if not fine.all():
                images, places, chosen = images[fine], places[fine], chosen[fine]
            centres, mask = rows.centres[chosen], None
            noise = None if form.noise is None else form.noise[group]
            if noise is not None:
                shifts = np.rint(optics.offsets_in_image(centres)).astype(np.int32)
                images = noise.fill(images, shifts, optics.mask, rows.index[chosen])
                centres, mask = np.zeros_like(centres), noise.outer
            transform[places], power[places] = optics.transform(
                images, centres, engine.backend, engine.threads, mask
            )
        fine = rows.faults[indices] == Fault.NONE
        if not fine.all():
            indices, transform, power = indices[fine], transform[fine], power[fine]
        if rows.poses is not None:
            transform = rows.poses.apply(transform, indices, self.grid)
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

    def take(self, rows: AnyArray) -> "FixedPoses":
        """Those of some particles."""
        return FixedPoses(self.psi_deg[rows], self.offset_px[rows])

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
