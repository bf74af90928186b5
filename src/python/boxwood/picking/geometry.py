"""Sizes and scales of Laplacian-of-Gaussian picking: which grid, which filters, which border."""

import math
from dataclasses import dataclass

import numpy as np

from boxwood.errors import InputError
from boxwood.typing import DoubleArray

# Transforms are fast, and RELION's choice of grid is met, up to this prime factor.
LARGEST_PRIME_FACTOR = 43


def round_half_away(value: float) -> int:
    """Round to the nearest integer, halves away from zero."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def largest_prime_factor(n: int) -> int:
    """Largest prime factor of n, 1 for n = 1."""
    largest, p = 1, 2
    while n > 1:
        if n % p == 0:
            n //= p
            largest = p
        else:
            p = p + 1 if p * p <= n else n
    return largest


def working_size(
    micrograph_size: int, pixel_size_angstrom: float, max_resolution: float, shrink: float = 0
) -> int:
    """Side of the square grid on which a micrograph is searched.

    Parameters
    ----------
    micrograph_size : int
        The longer side in pixels.
    pixel_size_angstrom : float
    max_resolution : float
        Finest detail kept, in Angstrom; negative keeps everything.
    shrink : float
        0: the grid follows `max_resolution`; up to 1: this fraction of the micrograph's size; above: this
        many pixels.

    Returns
    -------
    int
        Even. A size with a large prime factor (in itself or in half of it plus one) gives way to the
        nearest one without, as in RELION, so that picks lie on the same grid.
    """
    if shrink == 0:
        size = (
            micrograph_size
            if max_resolution < 0
            else 2 * round_half_away(micrograph_size * pixel_size_angstrom / max_resolution)
        )
    elif shrink <= 1:
        size = 2 * (round_half_away(shrink * micrograph_size) // 2)
    else:
        size = 2 * (round_half_away(shrink) // 2)
    if size < 2:
        raise InputError(
            f"max_resolution {max_resolution:g} A and shrink {shrink:g} leave nothing of a micrograph of "
            f"{micrograph_size} pixels of {pixel_size_angstrom:g} A; keep finer detail"
        )

    def worst(n: int) -> int:
        return max(largest_prime_factor(n), largest_prime_factor(n // 2 + 1))

    if worst(size) > LARGEST_PRIME_FACTOR:
        good = [n for n in range(size % 2 or 2, size, 2) if worst(n) < LARGEST_PRIME_FACTOR][-1:]
        up = next((n for n in range(size, micrograph_size + 2, 2) if worst(n) < LARGEST_PRIME_FACTOR), None)
        if up is not None and (not good or up - size < size - good[0]):
            size = up
        elif good:
            size = good[0]
    return size - size % 2


def filter_diameters(min_diameter: float, max_diameter: float) -> DoubleArray:
    """The 11 diameters (Angstrom) of the filter bank, in the order in which ties are decided.

    Those outside the range exist to claim what is smaller or larger than a particle.
    """
    return np.array(
        [
            *(round_half_away(min_diameter / i) for i in (5, 4, 3, 2)),
            min_diameter,
            (min_diameter + max_diameter) / 2,
            max_diameter,
            *(round_half_away(max_diameter * i) for i in (2, 3, 4, 5)),
        ],
        dtype=np.float64,
    )


@dataclass(frozen=True)
class Grid:
    """How a (ny, nx) micrograph lies, centred, on a square working grid."""

    shape: tuple[int, int]
    work_size: int

    @property
    def scale(self) -> float:
        """Grid points per micrograph pixel, in single precision as RELION has it."""
        return float(np.float32(self.work_size) / np.float32(max(self.shape)))

    def _extent(self, n: int) -> int:
        return int(np.float32(n) * np.float32(self.scale))

    def first(self, axis: int) -> int:
        """Grid index of the micrograph's first pixel along an axis (0: y, 1: x)."""
        return self.work_size // 2 - self._extent(self.shape[axis]) // 2

    def interior(self, skip_px: float, least: int = 0) -> tuple[int, int, int, int]:
        """y_begin, y_end, x_begin, x_end on the grid, `skip_px` micrograph pixels away from the edge.

        `least` is the smallest margin, in grid points; none at all means the whole grid.
        """
        margin = max(least, int(np.float32(skip_px) * np.float32(self.scale)))
        if margin == 0:
            return 0, self.work_size, 0, self.work_size
        y, x = self.first(0), self.first(1)
        return (
            max(y + margin, 0),
            min(y + self._extent(self.shape[0]) - margin, self.work_size),
            max(x + margin, 0),
            min(x + self._extent(self.shape[1]) - margin, self.work_size),
        )

    def to_micrograph(self, index: np.ndarray, axis: int) -> DoubleArray:
        """Micrograph coordinate (pixels) of grid indices along an axis."""
        return (np.asarray(index, np.float64) - self.first(axis)) / self.scale
