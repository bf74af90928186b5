"""How accurately particles can be placed: docs/class2d.md, "Measures"."""

import numpy as np
from scipy.special import j0

from boxwood.backends import Backend
from boxwood.class2d.expectation import PreparedReferences, ring_weights
from boxwood.class2d.groups import Groups
from boxwood.class2d.model import Model
from boxwood.class2d.particles import PolarParticles
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray

# A pose that loses this much log-likelihood is a hundred times less probable.
LOG_ODDS = np.log(100.0)
# RELION looks no further than this.
LARGEST_DEG, LARGEST_PX = 30.0, 10.0
# Particles, spread evenly, whose CTF and noise stand for all.
TRIALS = 50
_STEPS = 128


def model_accuracies(
    model: Model,
    particles: PolarParticles,
    indices: AnyArray,
    groups: Groups,
    backend: Backend,
    threads: int,
    lowest_ring: int = 1,
) -> tuple[AnyArray, AnyArray]:
    """`expected_accuracies` of the averages of a model, by the CTF and noise of the particles `indices`.

    Rings below `lowest_ring` do not count, as in the search.
    """
    grid = particles.grid
    rings = min(model.limit + 1, grid.rings)
    references = PreparedReferences.of(model.references, grid, rings, 0.0, backend, threads, lowest_ring)
    scale = model.scale[groups.scale[indices]][:, None]
    ctf_square = grid.ring_mean((scale * particles.ctf(indices)) ** 2, rings)
    weights = ctf_square / model.sigma2[groups.noise[indices], :rings]
    return expected_accuracies(references.harmonics, weights, grid, model.limit)


def expected_accuracies(
    harmonics: AnyArray, weights: AnyArray, grid: PolarGrid, limit: int
) -> tuple[AnyArray, AnyArray]:
    """The rotation and the shift of each class average that particles would notice.

    Both are where the expected log-likelihood of a particle has lost log 100, averaged over particles; a
    shift is in the mean direction. Equations 19 and 20 of docs/class2d.md.

    Parameters
    ----------
    harmonics : (k, coefficients) complex
        Of the class averages, packed as `PolarGrid.harmonics` does.
    weights : (n, rings) float
        Mean CTF^2 / noise power of some particles on each ring in use.
    grid : PolarGrid
    limit : int
        Last ring used in full.

    Returns
    -------
    rotation_deg, shift_px : (k,) float64
        At most 30 and 10; nan for an average without any signal.
    """
    rings = weights.shape[1]
    ring, m = grid.packed_order(rings)
    # Harmonics of negative order have the same power, and that of order 0 does not turn.
    power = np.zeros((len(harmonics), rings, int(m.max()) + 1))
    power[:, ring, m] = np.abs(harmonics) ** 2 * np.where(m > 0, 2, 1)
    area = weights * ring_weights(limit, rings)
    # The curves rise as squares, so even steps of their square roots are as fine everywhere.
    fraction = np.linspace(0, 1, _STEPS) ** 2
    angle, shift = LARGEST_DEG * fraction, LARGEST_PX * fraction
    turned = 1 - np.cos(np.outer(np.arange(power.shape[2]), np.deg2rad(angle)))
    shifted = 1 - j0(2 * np.pi * np.outer(np.arange(1, rings + 1), shift) / grid.box)
    rotation_loss = np.einsum("nr,krs->kns", area, power @ turned, optimize=True)
    shift_loss = np.einsum("nr,krs->kns", area, power.sum(axis=2)[:, :, None] * shifted, optimize=True)
    empty = power.sum(axis=(1, 2)) == 0
    return tuple(  # type: ignore[return-value]
        np.where(empty, np.nan, _first_crossing(loss, x).mean(axis=1))
        for loss, x in ((rotation_loss, angle), (shift_loss, shift))
    )


def _first_crossing(loss: AnyArray, x: AnyArray) -> AnyArray:
    """Where curves (..., steps) over `x` first reach LOG_ODDS; the end of `x` for those that do not."""
    reached = loss >= LOG_ODDS
    after = np.where(reached.any(axis=-1), reached.argmax(axis=-1), loss.shape[-1] - 1)
    before = np.maximum(after - 1, 0)
    low, high = (np.take_along_axis(loss, i[..., None], axis=-1)[..., 0] for i in (before, after))
    part = np.clip((LOG_ODDS - low) / np.maximum(high - low, 1e-30), 0, 1)
    return x[before] + part * (x[after] - x[before])
