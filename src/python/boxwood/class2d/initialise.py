"""The first model: averages of random particles, and the noise seen in all of them."""

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.expectation import batches
from boxwood.class2d.groups import Groups
from boxwood.class2d.maximisation import LOOK_AHEAD, reconstruct
from boxwood.class2d.model import Model
from boxwood.class2d.particles import PolarParticles
from boxwood.class2d.prefetch import prefetch
from boxwood.class2d.screening import check_enough
from boxwood.typing import AnyArray

# The first references keep frequencies up to this fraction of the sampling frequency, as in RELION.
_FIRST_LIMIT = 0.07
_FIRST_SIGMA_OFFSET_ANGSTROM = 10.0


def low_pass(grid_rings: int, ring: int) -> AnyArray:
    """(rings,) raised cosine of width 2 rings around `ring`."""
    r = np.arange(1, grid_rings + 1)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((r - ring + 1) / 2, 0, 1))


def initial_model(
    particles: PolarParticles,
    indices: AnyArray,
    groups: Groups,
    micrographs: int,
    classes: int,
    pixel_size_angstrom: float,
    largest_limit: int,
    resolution_angstrom: float | None,
    rng: np.random.Generator,
    backend: Backend,
    threads: int,
) -> Model:
    """Average `classes` disjoint random subsets, unaligned, and measure the power of all particles.

    The power includes the signal: at cryo-EM's signal-to-noise ratios that hardly matters, and the first
    update of the noise takes it out.
    """
    grid = particles.grid
    samples = int(grid.sample_start[-1])
    noise_groups = int(groups.noise.max()) + 1
    numerator = np.zeros((classes, samples), dtype=np.complex128)
    denominator = np.zeros((classes, samples))
    power = np.zeros((noise_groups, grid.rings))
    count = np.zeros(noise_groups)
    subset = np.empty(len(particles), dtype=np.int64)
    subset[rng.permutation(indices)] = np.arange(len(indices)) % classes
    for batch in prefetch(particles.batch, batches(indices)):
        part, ctf = batch.indices, batch.ctf.astype(np.float64)
        np.add.at(numerator, subset[part], ctf * batch.transform)
        np.add.at(denominator, subset[part], ctf**2)
        np.add.at(power, groups.noise[part], batch.ring_power)
        count += np.bincount(groups.noise[part], minlength=noise_groups)
    check_enough(int(count.sum()), classes)
    power = _on_all_rings(
        np.where(count[:, None] > 0, power / np.maximum(count, 1)[:, None], power.sum(0) / count.sum())
    )
    mean = np.repeat(grid.ring_mean(denominator, grid.rings), grid.ring_samples // 2, axis=1)
    average = numerator / (denominator + 0.1 * mean + 1e-20)
    ring = max(1, round(_FIRST_LIMIT * grid.box))
    if resolution_angstrom is not None:
        ring = int(np.clip(round(grid.box * pixel_size_angstrom / resolution_angstrom), 1, grid.rings))
    average *= np.repeat(low_pass(grid.rings, ring), grid.ring_samples // 2)
    references = reconstruct(average, grid, particles.mask, backend, threads)
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
