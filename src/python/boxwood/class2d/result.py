"""What one iteration of a 2D classification gives."""

from dataclasses import dataclass, field

import numpy as np

from boxwood.class2d.assignments import Assignments
from boxwood.class2d.convergence import Convergence
from boxwood.class2d.measures import ClassMeasures
from boxwood.class2d.model import Model
from boxwood.class2d.parameters import Class2DParameters
from boxwood.class2d.posterior import Posterior
from boxwood.class2d.sampling import Sampling
from boxwood.class2d.statistics import Statistics
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
    measures : ClassMeasures
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
    convergence : Convergence
    posterior : Posterior or None
        The most probable poses of every particle, if they were asked for.
    sums : Statistics or None
        What mini-batches remember.
    """

    iteration: int
    model: Model
    assignments: Assignments
    measures: ClassMeasures
    log_likelihood: float
    largest_probability: float
    entropy: float
    changed_classes: float
    changed_psi_deg: float
    changed_offset_px: float
    sampling: Sampling
    pixel_size_angstrom: float
    faults: AnyArray
    convergence: Convergence = field(default_factory=Convergence)
    posterior: Posterior | None = None
    sums: Statistics | None = None

    @property
    def bad(self) -> tuple[int, ...]:
        """Particles that get no weight."""
        return tuple(np.flatnonzero(self.faults).tolist())

    def finished(self, parameters: Class2DParameters) -> bool:
        """Whether this is the last iteration."""
        converged = parameters.until_converged and self.convergence.reached
        return converged or self.iteration >= parameters.last_iteration

    @property
    def class_averages(self) -> AnyArray:
        """(k, box, box) float32."""
        return self.model.references

    @property
    def resolution_angstrom(self) -> AnyArray:
        """(k,) resolution where the signal-to-noise ratio of each class falls below 1, or inf."""
        return self._angstrom(self.model.resolution_rings)

    @property
    def frc_resolution_angstrom(self) -> AnyArray:
        """(k,) resolution up to which the averages of two halves of the particles agree, or inf."""
        return self._angstrom(self.measures.frc_rings)

    def _angstrom(self, rings: AnyArray) -> AnyArray:
        length = self.model.references.shape[1] * self.pixel_size_angstrom
        return np.where(rings > 0, length / np.maximum(rings, 1), np.inf)
