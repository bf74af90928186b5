"""Two halves of the particles, and how well their class averages agree: docs/class2d.md, "Measures"."""

from collections.abc import Iterator

import numpy as np

from boxwood.class2d.statistics import Statistics
from boxwood.imaging.polar import PolarGrid
from boxwood.imaging.spectrum import last_ring_reaching
from boxwood.typing import AnyArray

# Both halves are aligned to the same averages, so the limit is not that of independent ones, 0.143.
THRESHOLD = 0.5


def by_half(indices: AnyArray, half: AnyArray, size: int) -> Iterator[tuple[int, AnyArray]]:
    """(0 or 1, at most `size` of `indices`) for the particles of each half, near ones close together.

    Parameters
    ----------
    indices : (m,) int
    half : (n,) int
        0 or 1 for every particle.
    size : int
    """
    for first in range(0, len(indices), 2 * size):
        window = indices[first : first + 2 * size]
        for which in (0, 1):
            mine = window[half[window] == which]
            for start in range(0, len(mine), size):
                yield which, mine[start : start + size]


def half_set_frc(halves: tuple[Statistics, Statistics], grid: PolarGrid) -> AnyArray:
    """Fourier ring correlation of the class averages of the two halves, equation 21 of docs/class2d.md.

    Averages are plain, N / D without a prior and without a mask of their own.

    Returns
    -------
    (k, rings in use) float64
        0 where a half has nothing.
    """
    one, two = (_plain_average(half, grid) for half in halves)
    rings = halves[0].denominator.shape[1]
    common = grid.ring_mean((one * two.conj()).real, rings)
    power = grid.ring_mean(np.abs(one) ** 2, rings) * grid.ring_mean(np.abs(two) ** 2, rings)
    return np.where(power > 0, common / np.sqrt(np.where(power > 0, power, 1)), 0.0)


def frc_rings(frc: AnyArray) -> AnyArray:
    """(k,) last ring before the correlation falls below THRESHOLD."""
    return last_ring_reaching(frc, THRESHOLD)


def _plain_average(half: Statistics, grid: PolarGrid) -> AnyArray:
    """(k, samples) N / D up to one factor per ring, which a correlation does not see."""
    rings = half.denominator.shape[1]
    numerator = grid.from_harmonics(half.numerator, rings)
    denominator = grid.low_harmonics_on_samples(half.denominator, rings)
    floor = np.repeat(1e-3 * half.denominator[:, :, 0].real, grid.ring_samples[:rings] // 2, axis=1)
    denominator = np.maximum(denominator, floor)
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), 0)
