"""Expectation: posterior of every particle over classes, angles and offsets, and the sums of it."""

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from boxwood.backends import Backend, get_worker_backend
from boxwood.class2d.assignments import Assignments
from boxwood.class2d.half_sets import by_half
from boxwood.class2d.measures import posterior_sums
from boxwood.class2d.model import Model
from boxwood.class2d.particles import Engine, FixedPoses, PolarBatch, PolarForm, PolarParticles, Rows
from boxwood.class2d.posterior import Posterior
from boxwood.class2d.sampling import Sampling
from boxwood.class2d.screening import Fault
from boxwood.class2d.source import Selected, StoredSource
from boxwood.class2d.statistics import Halves, Statistics
from boxwood.errors import InputError
from boxwood.execution import Executor, Failure, Here, Made, prefetch
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
    precision: str = "float32"

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


@dataclass(frozen=True)
class Found:
    """What is found of some particles.

    Attributes
    ----------
    faults : (n,) int8
        Of all that were asked for.
    reasons : dict of int to str
        Why images of some of these cannot be read.
    assignments, norm, posterior
        Of the m of them that have no fault; None if there are none.
    """

    faults: AnyArray
    reasons: dict[int, str]
    assignments: Assignments | None = None
    norm: AnyArray | None = None
    posterior: Posterior | None = None

    @classmethod
    def of(cls, result: "Found | Failure", particles: int) -> "Found":
        """What came back of so many particles; those whose batch failed are lost."""
        if isinstance(result, Failure):
            return cls(np.full(particles, Fault.LOST, dtype=np.int8), {})
        return result

    @classmethod
    def nothing(cls, rows: Rows) -> "Found":
        """Only what was seen when the images were read."""
        unreadable = np.flatnonzero(rows.faults == Fault.NOT_FINITE)
        assert isinstance(rows.source, Selected)
        reasons = {int(i): reason for i in unreadable if (reason := rows.source.reason(int(i)))}
        return cls(rows.faults, reasons)

    def tell(self, rows: Rows, indices: AnyArray) -> AnyArray:
        """Enter the faults of the particles `indices` into the rows of all; returns those without one."""
        rows.faults[indices], rows.screened[indices] = self.faults, True
        if isinstance(rows.source, StoredSource):
            for i, reason in self.reasons.items():
                rows.source.give_up(int(indices[i]), reason)
        return indices[self.faults == Fault.NONE]


def expectation(
    model: Model,
    particles: PolarParticles,
    indices: AnyArray,
    search: Search,
    assignments: Assignments,
    new_norm: AnyArray,
    executor: Executor,
    progress: Callable[[int, int], None],
    posterior: Posterior | None = None,
) -> tuple[Statistics, Statistics]:
    """One pass over the particles `indices`; fills `assignments`, `new_norm` and `posterior` where it can.

    Returns the sums over each half of these. `progress(done, total)` is called after every batch.
    """
    rows, done = particles.rows, 0
    parts = list(by_half(indices, rows.groups.half, BATCH))
    rows.norm = model.norm

    def found(number: int, outcome: Found | Failure) -> None:
        nonlocal done
        part = parts[number][1]
        result = Found.of(outcome, len(part))
        usable = result.tell(rows, part)
        if result.assignments is not None:
            assignments.put(usable, result.assignments)
            new_norm[usable] = result.norm
        if posterior is not None and result.posterior is not None:
            posterior.put(usable, result.posterior)
        done += len(part)
        progress(done, len(indices))

    top = 0 if posterior is None else posterior.top
    common = replace(model, norm=np.zeros(0))  # that of a particle goes with its row
    work = Expectation(common, particles.form, particles.engine.backend.name, search, top)
    items = Made(len(parts), lambda number: (parts[number][0], rows.take(parts[number][1])))
    sums = executor.map_add(work, items, found, lambda number: parts[number][1][0] / len(rows))
    if sums is None:
        raise InputError("an expectation needs at least one usable particle")
    return sums.both


def batches(indices: AnyArray) -> list[AnyArray]:
    """Parts of at most BATCH indices."""
    return [indices[first : first + BATCH] for first in range(0, len(indices), BATCH)]


def engine_here(here: Here, form: PolarForm, backend: str) -> Engine:
    """What a process makes transforms with, and those that it has made for this classification."""

    def make() -> Engine:
        return form.engine(get_worker_backend(backend, here.tell), here.threads)

    engine: Engine = here.keep("class2d", form.key, make)
    return engine


class Expectation:
    """The posteriors of batches of particles under a model, and the sums of them.

    Parameters
    ----------
    model : Model
        Its norms are not used, but those of the rows.
    form : PolarForm
    backend : str
    search : Search
    top : int
        Largest samples of each posterior to return.
    """

    def __init__(self, model: Model, form: PolarForm, backend: str, search: Search, top: int) -> None:
        self._model, self._form, self._backend = model, form, backend
        self._search, self._top = search, top
        self._context: _Context | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_context": None}  # each process has its own

    def __call__(
        self, here: Here, items: Iterable[tuple[int, Rows]]
    ) -> Generator[tuple[Found, Halves | None], None, None]:
        # While the kernel has one batch, the next is read and transformed, and the one before is summed up.
        engine = engine_here(here, self._form, self._backend)

        def load(item: tuple[int, Rows]) -> tuple[int, Rows, PolarBatch]:
            half, rows = item
            return half, rows, PolarParticles(self._form, rows, engine).batch()

        loaded = prefetch(load, items)
        if self._context is None or self._context.engine is not engine:
            self._context = _Context(self._model, self._form, engine, self._search, self._top)
        context = self._context
        with closing(prefetch(lambda one: (*one, context.search_in(one[2])), loaded)) as searched:
            for half, rows, batch, result in searched:
                found = Found.nothing(rows)
                if result is None:
                    yield found, None
                else:
                    assigned, sums = context.results(batch, result)
                    yield replace(found, **assigned), Halves.of(half, sums)


class _Context:
    """What is the same for all batches of one expectation."""

    def __init__(self, model: Model, form: PolarForm, engine: Engine, search: Search, top: int) -> None:
        self.model, self.search, self.engine, self.top = model, search, engine, top
        self.grid = grid = form.grid
        self.mask_pixels = np.array([optics.mask.sum() for optics in form.optics])
        self.rings = rings = min(model.limit + 1, grid.rings)
        self.references = PreparedReferences.of(
            model.references,
            grid,
            rings,
            search.perturbation_rad,
            engine.backend,
            engine.threads,
            search.lowest_ring,
        )
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

    def _scale(self, rows: Rows) -> AnyArray:
        """(n, 2) float32: factors of the image and of the CTF."""
        model = self.model
        scale = [model.mean_norm / rows.norm, model.scale[rows.groups.scale]]
        return np.stack(scale, axis=1).astype(np.float32)

    def _log_prior_offset(self, rows: Rows, offsets: AnyArray) -> AnyArray:
        offsets = in_image(offsets, rows.poses)
        return self.search.log_prior_offset(rows.centres, offsets, self.model.sigma_offset_px)

    def search_in(self, batch: PolarBatch) -> dict[str, Any] | None:
        """What the kernel finds in a batch, None in an empty one."""
        search, sampling, rings, rows = self.search, self.search.sampling, self.rings, batch.rows
        if len(rows) == 0:
            return None
        result = self.engine.backend.expectation(
            batch.images,
            batch.ctf,
            rows.groups.noise.astype(np.int32),
            self.weights.astype(np.float32),
            self._scale(rows),
            self.grid.ring_samples[:rings],
            self.grid.ring_harmonics[:rings],
            self.references.harmonics,
            self.references.power,
            self.phases,
            self._log_prior_offset(rows, sampling.offsets),
            self.log_shares,
            search.psi_prior,
            self.coarse_phases,
            sampling.parent,
            self._log_prior_offset(rows, sampling.coarse_offsets),
            sampling.psi,
            search.hard,
            search.cut,
            search.fraction,
            self.top,
            search.precision,
            self.engine.threads,
        )
        self._check_shapes(result, len(rows))
        return result

    def _check_shapes(self, result: dict[str, Any], particles: int) -> None:
        """Refuse what would be spread over classes or particles; backends may be anybody's.

        Raises
        ------
        InputError
        """
        classes, coefficients = self.references.harmonics.shape
        expected = {
            "best": (particles, 3),
            "statistics": (particles, 4),
            "cross": (particles, self.rings),
            "model": (particles, self.rings),
            "numerator": (classes, coefficients),
            "denominator": (classes, self.rings, 3),
        }
        for name, shape in expected.items():
            found = np.shape(result[name]) if name in result else None
            if found != shape:
                told = f"has {found} as shape of its" if found else "gives no"
                backend = self.engine.backend.name
                raise InputError(f"expectation of the backend {backend} {told} {name}; expected {shape}")

    def results(self, batch: PolarBatch, result: dict[str, Any]) -> tuple[dict[str, Any], Statistics]:
        """What is found of each particle of a batch, and the sums over all of them."""
        model, search, rings, rows = self.model, self.search, self.rings, batch.rows
        centres, offsets = rows.centres, in_image(search.sampling.offsets, rows.poses)
        noise_group = rows.groups.noise
        scale = self._scale(rows)
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

        turn = np.rad2deg(search.perturbation_rad)
        angles = np.arange(search.sampling.psi) * search.sampling.psi_step_deg + turn
        assigned = {
            "assignments": Assignments(
                best[:, 0],
                best[:, 1] * search.sampling.psi_step_deg + turn,
                centres + _rows(offsets, best[:, 2]),
                largest,
                log_likelihood,
                np.exp(entropy),
            ),
            "norm": self._norms(rows, batch.total_power, scale[:, 0], explained),
            "posterior": Posterior.of(result, angles, offsets, centres) if self.top else None,
        }

        squares = ((centres[:, None, :] + offsets) ** 2).sum(axis=2)
        if search.offset_prior == "relion":
            log_prior_offset = self._log_prior_offset(rows, search.sampling.offsets)
            squares = -2.0 * model.sigma_offset_px**2 * log_prior_offset
        strong = self._strong_rings()
        class_square, class_entropy = posterior_sums(result["class_posterior"])
        return assigned, Statistics(
            numerator=result["numerator"],
            denominator=result["denominator"],
            class_mass=result["class_posterior"].sum(axis=0, dtype=np.float64),
            class_square=class_square,
            class_entropy=class_entropy,
            residual=_group_sum(residual, noise_group, len(model.sigma2)),
            group_count=np.bincount(noise_group, minlength=len(model.sigma2)).astype(np.float64),
            offset_square=float((result["offset_posterior"] * squares).sum(dtype=np.float64)),
            signal_image=self._scale_sum(rows, result["cross"], strong),
            signal_model=self._scale_sum(rows, result["model"], strong),
            count=float(len(rows)),
            log_likelihood=float(log_likelihood.sum()),
            largest=float(largest.sum()),
            entropy=float(entropy.sum()),
        )

    def _norms(self, rows: Rows, total_power: AnyArray, scale: AnyArray, explained: AnyArray) -> AnyArray:
        """Residual amplitude per pixel of each unscaled image, all frequencies."""
        pixels = self.grid.box**2
        full = 2 * np.pi * np.arange(1, self.rings + 1)
        inside = np.where(self.area > 0.5 * full, full, 0.0)
        residual = total_power * scale.astype(np.float64) ** 2 - (explained @ inside) / pixels
        mask_pixels = self.mask_pixels[rows.groups.optics]
        norm: AnyArray = np.sqrt(np.maximum(residual, 1e-3 * total_power) / mask_pixels) / scale
        return norm

    def _strong_rings(self) -> AnyArray:
        """Rings with strong signal in the typical class, weighted by shares."""
        return self.model.shares @ self.model.ssnr[:, : self.rings] > _STRONG_SIGNAL

    def _scale_sum(self, rows: Rows, values: AnyArray, rings: AnyArray) -> AnyArray:
        sums = values[:, rings].sum(axis=1, dtype=np.float64)
        return np.bincount(rows.groups.scale, weights=sums, minlength=len(self.model.scale))


def in_image(offsets: AnyArray, poses: FixedPoses | None) -> AnyArray:
    """(1 or n, t, 2) offsets (t, 2) as they are in the frame of images whose angles were undone."""
    return offsets[None] if poses is None else turned(offsets[None], -poses.psi_deg[:, None])


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
