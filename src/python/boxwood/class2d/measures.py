"""What an iteration knows of each class beside its average: docs/class2d.md, "Measures"."""

from dataclasses import dataclass

import numpy as np

from boxwood.class2d.half_sets import frc_rings, half_set_frc
from boxwood.class2d.statistics import Statistics
from boxwood.imaging.polar import PolarGrid
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class ClassMeasures:
    """Per class; nan where it has not been measured, as in iteration 0.

    Attributes
    ----------
    effective_size : (k,) float64
        Effective number of particles, (sum of p)^2 / sum of p^2, p their probability of being in the class.
    assignment_entropy : (k,) float64
        How undecided its particles are between classes: mean entropy of their class probabilities, nats.
    frc : (k, rings) float64
        Fourier ring correlation of the averages of two halves of the particles.
    rotation_deg, shift_px : (k,) float64
        The smallest rotation and shift that a particle would notice.
    """

    effective_size: AnyArray
    assignment_entropy: AnyArray
    frc: AnyArray
    rotation_deg: AnyArray
    shift_px: AnyArray

    @classmethod
    def none(cls, classes: int, rings: int) -> "ClassMeasures":
        """Nothing measured."""
        unknown = np.full(classes, np.nan)
        return cls(unknown, unknown, np.full((classes, rings), np.nan), unknown, unknown)

    @property
    def frc_rings(self) -> AnyArray:
        """(k,) last ring on which the halves agree; 0 where nothing was measured."""
        return np.where(np.isnan(self.frc).all(axis=1), 0, frc_rings(self.frc))


def class_measures(
    halves: tuple[Statistics, Statistics], grid: PolarGrid, accuracies: tuple[AnyArray, AnyArray]
) -> ClassMeasures:
    """Measures of the classes of an expectation; `accuracies` are degrees and pixels."""
    total = halves[0] + halves[1]
    mass = np.where(total.class_mass > 0, total.class_mass, np.nan)
    frc = np.zeros((len(mass), grid.rings))
    used = half_set_frc(halves, grid)
    frc[:, : used.shape[1]] = used
    return ClassMeasures(
        effective_size=np.nan_to_num(mass**2 / np.maximum(total.class_square, 1e-30)),
        assignment_entropy=total.class_entropy / mass,
        frc=frc,
        rotation_deg=accuracies[0],
        shift_px=accuracies[1],
    )


def overall_accuracies(measures: ClassMeasures, shares: AnyArray) -> tuple[float, float]:
    """The best rotation (degrees) and shift (pixels) of the classes that have half their share; or inf."""
    usual = shares >= 0.5 / len(shares)
    values = (np.where(usual, x, np.nan) for x in (measures.rotation_deg, measures.shift_px))
    rotation, shift = (float(np.nanmin(x, initial=np.inf)) for x in values)
    return rotation, shift


def posterior_sums(class_posterior: AnyArray) -> tuple[AnyArray, AnyArray]:
    """(k,) sums over particles of p^2, and of p times the entropy of the particle's p (equations 22, 23).

    Parameters
    ----------
    class_posterior : (n, k), rows summing to 1
    """
    p = class_posterior.astype(np.float64)
    entropy = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)
    return (p**2).sum(axis=0), entropy @ p
