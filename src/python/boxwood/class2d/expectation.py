"""Expectation: posterior of every particle over classes, angles and offsets, and the sums of it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.assignments import Assignments
from boxwood.class2d.groups import Groups
from boxwood.class2d.half_sets import by_half
from boxwood.class2d.measures import posterior_sums
from boxwood.class2d.model import Model
from boxwood.class2d.particles import PolarBatch, PolarParticles
from boxwood.class2d.posterior import Posterior
from boxwood.class2d.prefetch import prefetch
from boxwood.class2d.sampling import Sampling
from boxwood.class2d.statistics import Statistics
from boxwood.errors import InputError
from boxwood.imaging.polar import PolarGrid, cutoff
from boxwood.typing import AnyArray

# Particles per call of the kernel: enough to keep all threads busy, few enough to bound memory.
BATCH = 512

# Signal-to-noise ratio above which a ring counts for the grey-scale correction, as in RELION.
_STRONG_SIGNAL = 3.0


@dataclass(frozen=True)
class Search:
    """How one iteration searches.

    Attributes
    ----------
    lowest_ring : int
        Rings below it do not count in the likelihood.
    frame_deg : (n,) or None
        Angle by which each image has been turned into the frame of the class averages.
    """

    sampling: Sampling
    hard: bool
    cut: float
    fraction: float
    perturbation_rad: float = 0.0
    psi_prior: AnyArray | None = None
    pixel_size_angstrom: float = 1.0
    offset_prior: str = "fixed"
    lowest_ring: int = 1
    frame_deg: AnyArray | None = None
    bf16: bool = False

    def in_image(self, offsets: AnyArray, part: AnyArray) -> AnyArray:
        """(1 or n, t, 2) offsets (t, 2) as they are in the frame of the images of `part`."""
        if self.frame_deg is None:
            return offsets[None]
        return turned(offsets[None], -self.frame_deg[part, None])

    def log_prior_offset(self, centres: AnyArray, offsets: AnyArray, sigma_px: float) -> AnyArray:
        """(n, t) Gaussian prior on the whole offset, centre (n, 2) plus search (1 or n, t, 2).

        "relion" repeats the units of RELION 3.1 to 5.0: the centre in pixels and the search in Angstrom
        are added, and the sum is scaled from pixels to Angstrom once more.
        """
        if self.offset_prior == "relion":
            a = self.pixel_size_angstrom
            total = centres[:, None, :] + offsets * a
        else:
            total = centres[:, None, :] + offsets
        return (-0.5 * (total**2).sum(axis=2) / sigma_px**2).astype(np.float32)


@dataclass(frozen=True)
class PreparedReferences:
    """References on the polar grid, as the kernel wants them."""

    harmonics: AnyArray
    power: AnyArray

    @classmethod
    def of(
        cls,
        references: AnyArray,
        grid: PolarGrid,
        rings: int,
        perturbation_rad: float,
        backend: Backend,
        threads: int,
        lowest_ring: int = 1,
    ) -> "PreparedReferences":
        """Transform (k, box, box) references; the perturbation turns all of them by one small angle.

        References that are zero below `lowest_ring` leave that part out of the likelihood, not of the sums.
        """
        samples = samples_of(references, grid, backend, threads)
        harmonics = grid.harmonics(samples, rings)
        power = grid.power_harmonics(samples, rings)
        ring, m = grid.packed_order(rings)
        harmonics[:, ring < lowest_ring - 1] = 0
        power[:, : lowest_ring - 1] = 0
        harmonics *= np.exp(1j * m * perturbation_rad)
        power *= np.exp(1j * np.array([0, 2, 4]) * perturbation_rad)
        return cls(harmonics.astype(np.complex64), power.astype(np.complex64))


def samples_of(references: AnyArray, grid: PolarGrid, backend: Backend, threads: int) -> AnyArray:
    """(k, samples) transforms of (k, box, box) averages."""
    images = np.ascontiguousarray(references, dtype=np.float32)
    return backend.polar_transform(
        images, None, np.ones(images.shape[1:], np.float32), grid.positions, threads
    )[0]


def ring_weights(limit: int, rings: int) -> AnyArray:
    """Area of Fourier space that each ring stands for, with the soft resolution limit."""
    return 2 * np.pi * np.arange(1, rings + 1) * cutoff(rings, limit)


def expectation(
    model: Model,
    particles: PolarParticles,
    indices: AnyArray,
    groups: Groups,
    search: Search,
    assignments: Assignments,
    new_norm: AnyArray,
    backend: Backend,
    threads: int,
    progress: Callable[[int, int], None],
    posterior: Posterior | None = None,
) -> tuple[Statistics, Statistics]:
    """One pass over the particles `indices`; fills `assignments`, `new_norm` and `posterior` where it can.

    Returns the sums over each half of these. `progress(done, total)` is called after every batch.
    """
    # While the kernel has one batch, the next is read and transformed, and the one before is summed up.
    parts = list(by_half(indices, groups.half, BATCH))
    loaded = prefetch(particles.batch, (part for _, part in parts))
    grid = particles.grid
    rings = min(model.limit + 1, grid.rings)
    references = PreparedReferences.of(
        model.references, grid, rings, search.perturbation_rad, backend, threads, search.lowest_ring
    )
    context = _Context(model, particles, groups, search, references, rings, backend, threads, posterior)
    halves: dict[int, Statistics] = {}
    done = 0
    with closing(prefetch(lambda batch: (batch, context.search_in(batch)), loaded)) as searched:
        for (half, part), (batch, result) in zip(parts, searched, strict=True):
            if result is not None:
                statistics = context.sums(batch, result, assignments, new_norm)
                halves[half] = halves[half] + statistics if half in halves else statistics
            done += len(part)
            progress(done, len(indices))
    if not halves:
        raise InputError("an expectation needs at least one usable particle")
    nothing = next(iter(halves.values())).nothing
    return tuple(halves.get(half, nothing) for half in (0, 1))  # type: ignore[return-value]


def batches(indices: AnyArray) -> Iterator[AnyArray]:
    """Parts of at most BATCH indices."""
    for first in range(0, len(indices), BATCH):
        yield indices[first : first + BATCH]


class _Context:
    """What is the same for all batches of one expectation."""

    def __init__(
        self,
        model: Model,
        particles: PolarParticles,
        groups: Groups,
        search: Search,
        references: PreparedReferences,
        rings: int,
        backend: Backend,
        threads: int,
        posterior: Posterior | None,
    ) -> None:
        self.model, self.particles, self.groups, self.search = model, particles, groups, search
        self.references, self.rings, self.backend, self.threads = references, rings, backend, threads
        self.posterior = posterior
        grid = particles.grid
        self.samples = grid.samples(rings)
        self.area = ring_weights(model.limit, rings)
        self.weights = self.area / (grid.ring_samples[:rings] * model.sigma2[:, :rings])
        self.phases = search.sampling.phases(grid, rings)
        self.coarse_phases = search.sampling.coarse_phases(
            grid, min(rings, search.sampling.coarse_rings(grid))
        )
        with np.errstate(divide="ignore"):
            self.log_shares = np.maximum(np.log(model.shares), -1e4).astype(np.float32)
        # All rings count in the likelihood, those beyond the limit as noise, so that its values can be
        # compared whatever the limit.
        self.all_area = 2 * np.pi * np.arange(1, grid.rings + 1)
        self.log_noise = 0.5 * (self.all_area * np.log(np.pi * model.sigma2)).sum(axis=1)

    def _scale(self, part: AnyArray) -> AnyArray:
        """(n, 2) float32: factors of the image and of the CTF."""
        model = self.model
        scale = [model.mean_norm / model.norm[part], model.scale[self.groups.scale[part]]]
        return np.stack(scale, axis=1).astype(np.float32)

    def _log_prior_offset(self, part: AnyArray, offsets: AnyArray) -> AnyArray:
        centres, offsets = self.particles.centres[part], self.search.in_image(offsets, part)
        return self.search.log_prior_offset(centres, offsets, self.model.sigma_offset_px)

    def search_in(self, batch: PolarBatch) -> dict[str, Any] | None:
        """What the kernel finds in a batch, None in an empty one."""
        search, sampling, rings, part = self.search, self.search.sampling, self.rings, batch.indices
        if len(part) == 0:
            return None
        return self.backend.expectation(
            batch.transform,
            batch.ctf,
            self.groups.noise[part].astype(np.int32),
            self.weights.astype(np.float32),
            self._scale(part),
            self.particles.grid.ring_samples[:rings],
            self.particles.grid.ring_harmonics[:rings],
            self.references.harmonics,
            self.references.power,
            self.phases,
            self._log_prior_offset(part, sampling.offsets),
            self.log_shares,
            search.psi_prior,
            self.coarse_phases,
            sampling.parent,
            self._log_prior_offset(part, sampling.coarse_offsets),
            sampling.psi,
            search.hard,
            search.cut,
            search.fraction,
            0 if self.posterior is None else self.posterior.top,
            search.bf16,
            self.threads,
        )

    def sums(
        self, batch: PolarBatch, result: dict[str, Any], assignments: Assignments, new_norm: AnyArray
    ) -> Statistics:
        """Assign the particles of a batch, and sum up what the maximisation needs."""
        model, search, rings, part = self.model, self.search, self.rings, batch.indices
        centres, offsets = self.particles.centres[part], search.in_image(search.sampling.offsets, part)
        noise_group = self.groups.noise[part]
        scale = self._scale(part)
        best = result["best"]
        log_sum, largest, entropy = result["statistics"][:, :3].T.astype(np.float64)
        # From weighted sums over a ring back to means over it.
        to_mean = model.sigma2[noise_group, :rings] / np.where(self.area > 0, self.area, np.inf)
        explained = (2.0 * result["cross"] - result["model"]) * to_mean
        image_power = batch.ring_power * scale[:, :1].astype(np.float64) ** 2
        residual = image_power.copy()
        residual[:, :rings] -= explained
        noise_term = 0.5 * (self.all_area / model.sigma2[noise_group] * image_power).sum(axis=1)
        gain = (result["cross"] - 0.5 * result["model"]).sum(axis=1) if search.hard else log_sum
        log_likelihood = gain - noise_term - self.log_noise[noise_group]
        self._norms(part, batch.total_power, scale[:, 0], explained, new_norm)

        assignments.class_index[part] = best[:, 0]
        turn = np.rad2deg(search.perturbation_rad)
        assignments.psi_deg[part] = best[:, 1] * search.sampling.psi_step_deg + turn
        assignments.offset_px[part] = centres + _rows(offsets, best[:, 2])
        if self.posterior is not None:
            angles = np.arange(search.sampling.psi) * search.sampling.psi_step_deg + turn
            self.posterior.fill(part, result, angles, offsets, centres)
        assignments.largest[part] = largest
        assignments.log_likelihood[part] = log_likelihood
        assignments.significant[part] = np.exp(entropy)

        squares = ((centres[:, None, :] + offsets) ** 2).sum(axis=2)
        if search.offset_prior == "relion":
            log_prior_offset = self._log_prior_offset(part, search.sampling.offsets)
            squares = -2.0 * model.sigma_offset_px**2 * log_prior_offset
        strong = self._strong_rings()
        class_square, class_entropy = posterior_sums(result["class_posterior"])
        return Statistics(
            numerator=result["numerator"],
            denominator=result["denominator"],
            class_mass=result["class_posterior"].sum(axis=0, dtype=np.float64),
            class_square=class_square,
            class_entropy=class_entropy,
            residual=_group_sum(residual, noise_group, len(model.sigma2)),
            group_count=np.bincount(noise_group, minlength=len(model.sigma2)).astype(np.float64),
            offset_square=float((result["offset_posterior"] * squares).sum(dtype=np.float64)),
            signal_image=self._scale_sum(part, result["cross"], strong),
            signal_model=self._scale_sum(part, result["model"], strong),
            count=float(len(part)),
            log_likelihood=float(log_likelihood.sum()),
            largest=float(largest.sum()),
            entropy=float(entropy.sum()),
        )

    def _norms(
        self, part: AnyArray, total_power: AnyArray, scale: AnyArray, explained: AnyArray, out: AnyArray
    ) -> None:
        """Residual amplitude per pixel of each unscaled image, all frequencies."""
        pixels = self.particles.grid.box**2
        full = 2 * np.pi * np.arange(1, self.rings + 1)
        inside = np.where(self.area > 0.5 * full, full, 0.0)
        residual = total_power * scale.astype(np.float64) ** 2 - (explained @ inside) / pixels
        out[part] = (
            np.sqrt(np.maximum(residual, 1e-3 * total_power) / self.particles.mask_pixels(part)) / scale
        )

    def _strong_rings(self) -> AnyArray:
        """Rings with strong signal in the typical class, weighted by shares."""
        return self.model.shares @ self.model.ssnr[:, : self.rings] > _STRONG_SIGNAL

    def _scale_sum(self, part: AnyArray, values: AnyArray, rings: AnyArray) -> AnyArray:
        sums = values[:, rings].sum(axis=1, dtype=np.float64)
        return np.bincount(self.groups.scale[part], weights=sums, minlength=len(self.model.scale))


def turned(offsets: AnyArray, angle_deg: AnyArray) -> AnyArray:
    """Offsets (..., 2) turned counter-clockwise by angles that broadcast to their number."""
    c, s = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    x, y = offsets[..., 0], offsets[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1)


def _rows(offsets: AnyArray, chosen: AnyArray) -> AnyArray:
    """(n, 2) the chosen one of the offsets (1 or n, t, 2) of each particle."""
    return offsets[np.arange(len(chosen)) if len(offsets) > 1 else 0, chosen]


def _group_sum(values: AnyArray, group: AnyArray, groups: int) -> AnyArray:
    out = np.zeros((groups, values.shape[1]))
    np.add.at(out, group, values)
    return out
