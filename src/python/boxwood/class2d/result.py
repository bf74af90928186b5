"""What one iteration of a 2D classification gives."""

from dataclasses import dataclass

import numpy as np

from boxwood.class2d.expectation import Assignments
from boxwood.class2d.model import Model
from boxwood.class2d.sampling import Sampling
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class IterationResult:
    """One finished iteration.

    Attributes
    ----------
    iteration : int
        0 is the initial model.
    model : Model
    assignments : Assignments
    log_likelihood, largest_probability, entropy : float
        Means over particles.
    changed_classes : float
        Share of the particles whose most probable class is another one than before.
    changed_psi_deg, changed_offset_px : float
        Root mean square change of the assigned angle and offset, of particles that kept their class.
    sampling : Sampling
    pixel_size_angstrom : float
    faults : (n,) int8
        `boxwood.class2d.screening.Fault` of every particle: why it gets no weight, or 0.
    """

    iteration: int
    model: Model
    assignments: Assignments
    log_likelihood: float
    largest_probability: float
    entropy: float
    changed_classes: float
    changed_psi_deg: float
    changed_offset_px: float
    sampling: Sampling
    pixel_size_angstrom: float
    faults: AnyArray

    @property
    def bad(self) -> tuple[int, ...]:
        """Particles that get no weight."""
        return tuple(np.flatnonzero(self.faults).tolist())

    @property
    def class_averages(self) -> AnyArray:
        """(k, box, box) float32."""
        return self.model.references

    @property
    def resolution_angstrom(self) -> AnyArray:
        """(k,) resolution where the signal-to-noise ratio of each class falls below 1, or inf."""
        rings = self.model.resolution_rings
        box = self.model.references.shape[1]
        with np.errstate(divide="ignore"):
            return np.where(rings > 0, box * self.pixel_size_angstrom / np.maximum(rings, 1e-9), np.inf)
