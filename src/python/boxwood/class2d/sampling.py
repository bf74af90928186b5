"""The grid of in-plane angles and offsets that is searched, in one pass or in two."""

from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from boxwood.imaging.polar import PolarGrid, good_length
from boxwood.typing import AnyArray

LARGEST_PSI_STEP_DEG = 36.0
_COARSER = 0.8
# Of the range: the first pass, at twice the step, still has neighbours to go to.
_LARGEST_STEP = 0.475


@dataclass(frozen=True)
class Sampling:
    """In-plane angles 0, step, 2 step, ... and offsets on a disc.

    Attributes
    ----------
    psi : int
        Number of angles.
    offsets : (t, 2) float64
        x and y in pixels, relative to the whole-pixel centre of each particle.
    coarse_offsets : (c, 2) float64
        Offsets of the first pass, twice as far apart; none: everything is searched in one pass.
    parent : (t,) int32
        The coarse offset in whose place each offset is searched; empty if there are none.
    """

    psi: int
    offsets: AnyArray
    coarse_offsets: AnyArray = field(default_factory=lambda: np.zeros((0, 2)))
    parent: AnyArray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))

    @property
    def psi_step_deg(self) -> float:
        """Angle between neighbours, degrees."""
        return 360.0 / self.psi

    @property
    def offset_step_px(self) -> float:
        """Smallest distance of offsets along an axis; 0 if there is one only."""
        x = np.unique(self.offsets[:, 0])
        return float(x[1] - x[0]) if len(x) > 1 else 0.0

    def moved(self, shift_px: AnyArray) -> "Sampling":
        """The same with all offsets, those of the first pass among them, moved by one (2,) x and y."""
        return replace(self, offsets=self.offsets + shift_px, coarse_offsets=self.coarse_offsets + shift_px)

    def phases(self, grid: PolarGrid, rings: int) -> AnyArray:
        """(t, samples) complex64: what multiplies the transform of an image to shift it by each offset."""
        return _phases(self.offsets.tobytes(), grid, rings)

    def coarse_phases(self, grid: PolarGrid, rings: int) -> AnyArray:
        """(c, samples) complex64: the same for the coarse offsets."""
        return _phases(self.coarse_offsets.tobytes(), grid, rings)

    def coarse_rings(self, grid: PolarGrid) -> int:
        """Rings of the first pass: two thirds of what twice the angular step resolves at the mask's edge.

        RELION's rule for its coarse image size.
        """
        arc = 2 * np.pi * grid.support_radius / self.psi * 2
        return int(np.clip(np.ceil(1.5 * grid.box / arc), 2, grid.rings))


@lru_cache(maxsize=4)
def _phases(offsets: bytes, grid: PolarGrid, rings: int) -> AnyArray:
    """(t, samples) complex64 of (t, 2) float64; most iterations have the rings of the one before."""
    shifts = np.frombuffer(offsets).reshape(-1, 2)
    return grid.shift_phases(shifts, grid.samples(rings)).astype(np.complex64)


def coarser_steps(
    psi_step_deg: float,
    offset_step_px: float,
    offset_range_px: float,
    rotation_deg: float,
    shift_px: float,
) -> tuple[float, float]:
    """Steps of 0.8 of the accuracies where that is coarser, RELION's rule for --allow_coarser_sampling.

    An accuracy that is not finite, not known, changes nothing.
    """
    if np.isfinite(rotation_deg):
        psi_step_deg = max(psi_step_deg, min(_COARSER * rotation_deg, LARGEST_PSI_STEP_DEG))
    if np.isfinite(shift_px):
        offset_step_px = max(offset_step_px, min(_COARSER * shift_px, _LARGEST_STEP * offset_range_px))
    return psi_step_deg, offset_step_px


def make_sampling(
    psi_step_deg: float, offset_range_px: float, offset_step_px: float, *, two_pass: bool = False
) -> Sampling:
    """Angles no further apart than `psi_step_deg`, offsets `offset_step_px` apart within the range.

    The number of angles is rounded up to an even 2^a 3^b 5^c of at least 10. Offsets are the four
    neighbours, half a step off in x and in y, of coarse ones (2 ix step, 2 iy step) within the range; a
    range of less than one step has the offset 0 only.
    """
    psi = good_length(max(10.0, 360.0 / psi_step_deg - 1e-6), 2)
    if offset_range_px < offset_step_px:
        return Sampling(psi, np.zeros((1, 2)))
    coarse = _disc(offset_range_px, 2 * offset_step_px)
    quarter = 0.5 * offset_step_px * np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)])
    offsets = (coarse[:, None, :] + quarter).reshape(-1, 2)
    if not two_pass:
        return Sampling(psi, offsets)
    return Sampling(psi, offsets, coarse, np.repeat(np.arange(len(coarse), dtype=np.int32), 4))


def _disc(radius: float, step: float) -> AnyArray:
    """(n, 2) points (ix step, iy step) within the radius, neighbours close to each other in the list."""
    steps = int(np.floor(radius / step + 1e-6))
    axis = np.arange(-steps, steps + 1)
    x, y = (a.ravel() for a in np.meshgrid(axis, axis, indexing="ij"))
    inside = step**2 * (x**2 + y**2) < radius**2 + 1e-3
    x, y = x[inside], y[inside]
    # Blocks of 2 x 2 one after the other: a vector of the kernel holds two or four neighbours.
    order = np.lexsort((y, x, (y + steps) // 2, (x + steps) // 2))
    return step * np.stack([x, y], axis=1)[order].astype(np.float64)
