"""The first model: averages of random particles, and the noise seen in all of them."""

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, fields

import numpy as np

from boxwood.class2d.expectation import Found, batches, engine_here
from boxwood.class2d.maximisation import LOOK_AHEAD, reconstruct
from boxwood.class2d.model import Model
from boxwood.class2d.particles import PolarBatch, PolarForm, PolarParticles, Rows
from boxwood.class2d.screening import Fault, check_enough
from boxwood.execution import Executor, Failure, Here, Made, prefetch
from boxwood.typing import AnyArray

# The first references keep frequencies up to this fraction of the sampling frequency, as in RELION.
_FIRST_LIMIT = 0.07
_FIRST_SIGMA_OFFSET_ANGSTROM = 10.0


def low_pass(grid_rings: int, ring: int) -> AnyArray:
    """(rings,) raised cosine of width 2 rings around `ring`."""
    r = np.arange(1, grid_rings + 1)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((r - ring + 1) / 2, 0, 1))


@dataclass(frozen=True)
class FirstSums:
    """Sums over particles that are in no class yet, but in a subset: transforms times CTF, CTF^2, power.

    Attributes
    ----------
    numerator : (classes, samples) complex128
    denominator : (classes, samples) float64
    power : (noise groups, rings) float64
    count : (noise groups,) float64
    """

    numerator: AnyArray
    denominator: AnyArray
    power: AnyArray
    count: AnyArray

    def __add__(self, other: "FirstSums") -> "FirstSums":
        return FirstSums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True)
class FirstAverages:
    """The sums over batches of particles, of each of which it is told in which subset it is."""

    form: PolarForm
    backend: str
    classes: int
    noise_groups: int

    def __call__(
        self, here: Here, items: Iterable[tuple[AnyArray, Rows]]
    ) -> Generator[tuple[Found, FirstSums | None], None, None]:
        engine = engine_here(here, self.form, self.backend)

        def load(item: tuple[AnyArray, Rows]) -> tuple[AnyArray, Rows, PolarBatch]:
            subset, rows = item
            return subset, rows, PolarParticles(self.form, rows, engine).batch(on_host=True)

        with closing(prefetch(load, items)) as loaded:
            for subset, rows, batch in loaded:
                subset = subset[rows.faults == Fault.NONE]
                yield Found.nothing(rows), self._sums(subset, batch) if len(subset) else None

    def _sums(self, subset: AnyArray, batch: PolarBatch) -> FirstSums:
        transform, single = batch.arrays()
        noise, ctf = batch.rows.groups.noise, single.astype(np.float64)
        numerator = np.zeros((self.classes, ctf.shape[1]), dtype=np.complex128)
        denominator = np.zeros(numerator.shape)
        power = np.zeros((self.noise_groups, batch.ring_power.shape[1]))
        np.add.at(numerator, subset, ctf * transform)
        np.add.at(denominator, subset, ctf**2)
        np.add.at(power, noise, batch.ring_power)
        return FirstSums(
            numerator, denominator, power, np.bincount(noise, minlength=self.noise_groups).astype(np.float64)
        )


def initial_model(
    particles: PolarParticles,
    indices: AnyArray,
    micrographs: int,
    classes: int,
    pixel_size_angstrom: float,
    largest_limit: int,
    resolution_angstrom: float | None,
    rng: np.random.Generator,
    executor: Executor,
) -> Model:
    """Average `classes` disjoint random subsets, unaligned, and measure the power of all particles.

    The power includes the signal: at cryo-EM's signal-to-noise ratios that hardly matters, and the first
    update of the noise takes it out.
    """
    grid, rows, engine = particles.grid, particles.rows, particles.engine
    subset = np.empty(len(particles), dtype=np.int64)
    subset[rng.permutation(indices)] = np.arange(len(indices)) % classes
    parts = batches(indices)

    def tell(number: int, outcome: Found | Failure) -> None:
        Found.of(outcome, len(parts[number])).tell(rows, parts[number])

    work = FirstAverages(particles.form, engine.backend.name, classes, int(rows.groups.noise.max()) + 1)
    sums = executor.map_add(
        work,
        Made(len(parts), lambda number: (subset[parts[number]], rows.take(parts[number]))),
        tell,
        lambda number: parts[number][0] / len(rows),
    )
    check_enough(0 if sums is None else int(sums.count.sum()), classes)
    assert sums is not None
    numerator, denominator, power, count = sums.numerator, sums.denominator, sums.power, sums.count
    power = _on_all_rings(
        np.where(count[:, None] > 0, power / np.maximum(count, 1)[:, None], power.sum(0) / count.sum())
    )
    mean = np.repeat(grid.ring_mean(denominator, grid.rings), grid.ring_samples // 2, axis=1)
    average = numerator / (denominator + 0.1 * mean + 1e-20)
    ring = max(1, round(_FIRST_LIMIT * grid.box))
    if resolution_angstrom is not None:
        ring = int(np.clip(round(grid.box * pixel_size_angstrom / resolution_angstrom), 1, grid.rings))
    average *= np.repeat(low_pass(grid.rings, ring), grid.ring_samples // 2)
    references = reconstruct(average, grid, particles.mask, engine.backend, engine.threads)
    return Model(
        references=references,
        shares=np.full(classes, 1.0 / classes),
        sigma2=np.maximum(power, 1e-6 * power.max()),
        tau2=np.zeros((classes, grid.rings)),
        ssnr=np.where(np.arange(grid.rings) < ring, 1e3, 0.0) * np.ones((classes, 1)),
        sigma_offset_px=_FIRST_SIGMA_OFFSET_ANGSTROM / pixel_size_angstrom,
        limit=min(ring + LOOK_AHEAD, largest_limit),
        norm=np.ones(len(particles)),
        mean_norm=1.0,
        scale=np.ones(micrographs),
    )


def _on_all_rings(power: AnyArray) -> AnyArray:
    """(groups, rings) spectra that go on beyond the images of a group as they end."""
    last = np.maximum.accumulate(np.where(power > 0, np.arange(power.shape[1]), 0), axis=1)
    return np.take_along_axis(power, last, axis=1)
