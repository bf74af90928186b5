"""The grid of in-plane angles and offsets that is searched."""

from dataclasses import dataclass

import numpy as np

from boxwood.imaging.polar import PolarGrid, good_length
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class Sampling:
    """In-plane angles 0, step, 2 step, ... and offsets on a disc.

    Attributes
    ----------
    psi : int
        Number of angles.
    offsets : (t, 2) float64
        x and y in pixels, relative to the whole-pixel centre of each particle.
    """

    psi: int
    offsets: AnyArray

    @property
    def psi_step_deg(self) -> float:
        """Angle between neighbours, degrees."""
        return 360.0 / self.psi

    def phases(self, grid: PolarGrid, rings: int) -> AnyArray:
        """(t, samples) complex64: what multiplies the transform of an image to shift it by each offset."""
        return grid.shift_phases(self.offsets, grid.samples(rings)).astype(np.complex64)


def make_sampling(psi_step_deg: float, offset_range_px: float, offset_step_px: float) -> Sampling:
    """Angles no further apart than `psi_step_deg`, offsets (ix step, iy step) within the range.

    The number of angles is rounded up to an even 2^a 3^b 5^c of at least 10.
    """
    psi = good_length(max(10.0, 360.0 / psi_step_deg - 1e-6), 2)
    steps = int(np.floor(offset_range_px / offset_step_px + 1e-6))
    axis = offset_step_px * np.arange(-steps, steps + 1)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    inside = x**2 + y**2 < offset_range_px**2 + 1e-3
    return Sampling(psi, np.stack([x[inside], y[inside]], axis=1))
