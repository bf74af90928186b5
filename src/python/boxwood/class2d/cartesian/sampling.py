"""The grids of angles and offsets that RELION searches, and how it moves them at random."""

from dataclasses import dataclass

import numpy as np

from boxwood.typing import AnyArray

# RELION's --perturb: the grid moves by a random part of its step, from half of this to all of it on.
PERTURBATION = 0.5


@dataclass(frozen=True)
class Grid:
    """Both passes' angles and offsets. Fine ones 2 i, 2 i + 1 lie around coarse angle i; 4 j ... around j.

    Attributes
    ----------
    psi_deg, fine_psi_deg : (p,), (2 p,) float64
    offsets_px, fine_offsets_px : (t, 2), (4 t, 2) float64
        Relative to the whole-pixel centre of each particle.
    prior_offsets_px : (t, 2) float64
        Where the prior is taken, for both: the coarse grid before it was moved.
    """

    psi_deg: AnyArray
    fine_psi_deg: AnyArray
    offsets_px: AnyArray
    fine_offsets_px: AnyArray
    prior_offsets_px: AnyArray

    @classmethod
    def of(cls, psi_step_deg: float, range_px: float, step_px: float, perturbation: float) -> "Grid":
        """From the (fine) steps; all is moved by `perturbation` coarse steps."""
        count = int(np.ceil(360 / (2 * psi_step_deg) - 1e-6))
        wide, step = 360 / count, 2 * step_px
        psi = (np.arange(count) + perturbation) * wide
        n = int(range_px / step + 1e-6)
        x, y = (a.ravel() for a in np.meshgrid(*2 * [np.arange(-n, n + 1) * step], indexing="ij"))
        inside = x**2 + y**2 < range_px**2 + 1e-3
        still = np.stack([x, y], axis=1)[inside]
        moved = still + perturbation * step
        quarter = 0.25 * np.array([-1.0, 1.0])
        corners = np.stack([a.ravel() for a in np.meshgrid(quarter, quarter, indexing="ij")], axis=1)
        return cls(
            psi,
            (psi[:, None] + quarter * wide).ravel(),
            moved,
            (moved[:, None] + corners * step).reshape(-1, 2),
            still,
        )


def perturbation(before: float, seed: int, iteration: int) -> float:
    """By how many coarse steps, -0.5 to 0.5, RELION moves the grids of an iteration.

    Further than in the iteration before by a random number from 0.25 to 0.5, the first one of a generator
    that is seeded with `seed + iteration`.
    """
    further = PERTURBATION * (0.5 + 0.5 * float(c_random(seed + iteration, 1)[0]))
    return (before + further + PERTURBATION) % (2 * PERTURBATION) - PERTURBATION


def c_random(seed: int, count: int) -> AnyArray:
    """(count,) first numbers of the C library's `rand` after `srand(seed)`, over the largest.

    The additive feedback generator of the GNU C library: r_i = r_(i-3) + r_(i-31) modulo 2^32, the lowest
    bit dropped, begun by a linear congruential one.
    """
    state = [max(seed, 1)]
    for _ in range(30):
        state.append(16807 * state[-1] % 2147483647)
    state += state[:3]
    for i in range(34, 344 + count):
        state.append((state[i - 3] + state[i - 31]) % 2**32)
    return np.array([value >> 1 for value in state[344:]]) / 2147483647
