"""The particles of a classification, in polar form."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np

from boxwood.backends import Backend
from boxwood.backends.image_store import StoredImages
from boxwood.class2d.groups import Groups
from boxwood.class2d.optics import SampledOptics
from boxwood.class2d.screening import Fault, image_faults, normalised
from boxwood.class2d.source import ImageSource, Selected
from boxwood.class2d.transforms import StoredTransforms, Transforms
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
        n, samples, rings = self.particles, int(self.grid.sample_start[-1]), self.grid.rings
        store = backend.image_store(n, samples)
        stored = None if store is None else StoredTransforms(store, n, rings)
        return Engine(backend, threads, Transforms(n, samples, rings, self.memory_gib), stored)


@dataclass(frozen=True)
class Engine:
    """What one process computes with, and the transforms that it has made.

    Attributes
    ----------
    backend : Backend
    threads : int
    known : Transforms
    stored : StoredTransforms or None
        Those that the backend has, where it has a store for them; `known` are the others then.
    lock : RLock
        A batch may be asked for while another, whose device was lost, is made again.
    """

    backend: Backend
    threads: int
    known: Transforms
    stored: StoredTransforms | None = None
    lock: Any = field(default_factory=RLock)


@dataclass(frozen=True)
class PolarBatch:
    """Some particles on the polar grid.

    Attributes
    ----------
    rows : Rows
        Those asked for, without those that cannot be used.
    images : (n, samples) complex64, or StoredImages
        Their transforms.
    ctf : (n, samples) float32, or None
        None with `StoredImages`, which have them.
    ring_power : (n, rings) float32
        Mean |F|^2 on each ring.
    total_power : (n,) float32
        Sum of squares of the masked image.
    """

    rows: Rows
    images: AnyArray | StoredImages
    ctf: AnyArray | None
    ring_power: AnyArray
    total_power: AnyArray

    def arrays(self) -> tuple[AnyArray, AnyArray]:
        """Transforms and CTFs (n, samples) in host memory."""
        if isinstance(self.images, StoredImages):
            return self.images.on_host()
        assert self.ctf is not None
        return self.images, self.ctf


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

    def batch(self, on_host: bool = False) -> PolarBatch:
        """Transforms of those particles that can be used; as arrays, if they are wanted `on_host`."""
        rows, known, stored = self.rows, self.engine.known, self.engine.stored
        with self.engine.lock:
            usable = np.flatnonzero(rows.faults == Fault.NONE)
            index, centres = rows.index[usable], rows.centres[usable]
            there = np.zeros(len(usable), dtype=bool)
            if stored is not None and not on_host:
                there = stored.knows(index, centres)
            old = known.knows(index, centres) & ~there
            made = self._make(usable[~(old | there)])
            taken = self._keep(*made)
            if len(made[0]) < (~(old | there)).sum():  # some turned out to have a fault
                fine = rows.faults[usable] == Fault.NONE
                usable, old, there = usable[fine], old[fine], there[fine]
            new = ~(old | there)
            kept = known[rows.index[usable[old]]]
            powers = [_merged((old, new), pair) for pair in zip(kept[1:], made[2:], strict=True)]
            if stored is not None:
                for power, values in zip(powers, stored.powers(rows.index[usable[there]]), strict=True):
                    power[there] = values
            usable_rows = rows if len(usable) == len(rows) else rows.take(usable)
            if stored is None or on_host:
                transform = _merged((old, new), (kept[0], made[1]))
                return PolarBatch(usable_rows, transform, self.ctf(usable), *powers)
            # Those that devices have now, or had above: if one is lost meanwhile, that is noticed on use.
            there[new] = taken
            sent = ~there
            transform = _merged((old[sent], new[sent]), (kept[0], made[1][~taken]))
            images = StoredImages(
                stored.store,
                usable_rows.index,
                np.where(sent, np.cumsum(sent) - 1, -1),
                transform,
                self.ctf(usable[sent]),
                self._load,
            )
            return PolarBatch(usable_rows, images, None, *powers)

    def _keep(self, made: AnyArray, *values: AnyArray) -> AnyArray:
        """Remember what was made of some particles; (n,) bool: which of them the backend has now."""
        rows, stored = self.rows, self.engine.stored
        index, centres, taken = rows.index[made], rows.centres[made], np.zeros(len(made), dtype=bool)
        if stored is not None and len(made):
            taken = stored.keep(index, centres, values, self.ctf(made))
            index, centres, values = index[~taken], centres[~taken], tuple(v[~taken] for v in values)
        self.engine.known.keep(index, centres, values)
        return taken

    def _load(self, index: AnyArray) -> tuple[AnyArray, AnyArray]:
        """Transforms and CTFs of particles that a lost device had, in the order of these."""
        rows = self.rows.take(np.flatnonzero(np.isin(self.rows.index, index)))
        return PolarParticles(self.form, rows, self.engine).batch(on_host=True).arrays()

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


def _merged(places: tuple[AnyArray, AnyArray], values: tuple[AnyArray, AnyArray]) -> AnyArray:
    """One array of two, each with its places (n,) bool."""
    for mine, part in zip(places, values, strict=True):
        if mine.all():
            return part
    out = np.empty((len(places[0]), *values[0].shape[1:]), values[0].dtype)
    for mine, part in zip(places, values, strict=True):
        out[mine] = part
    return out


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
