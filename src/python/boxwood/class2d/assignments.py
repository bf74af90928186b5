"""What every particle has been found to be."""

from dataclasses import dataclass, replace

import numpy as np

from boxwood.typing import AnyArray


@dataclass
class Assignments:
    """Per particle, in the order of the particles. Angles in degrees, offsets in pixels.

    Attributes
    ----------
    class_index : (n,) int32
        Most probable class, from 0; -1 for particles without weight.
    psi_deg : (n,) float64
    offset_px : (n, 2) float64
        Shift that centres the particle.
    largest : (n,) float64
        Largest posterior probability of one (class, angle, offset).
    log_likelihood : (n,) float64
    significant : (n,) float64
        Effective number of (class, angle, offset) samples, exp(entropy of the posterior).
    """

    class_index: AnyArray
    psi_deg: AnyArray
    offset_px: AnyArray
    largest: AnyArray
    log_likelihood: AnyArray
    significant: AnyArray

    @classmethod
    def empty(cls, n: int) -> "Assignments":
        return cls(
            np.full(n, -1, dtype=np.int32),
            np.zeros(n),
            np.zeros((n, 2)),
            np.zeros(n),
            np.zeros(n),
            np.zeros(n),
        )

    def copy(self) -> "Assignments":
        """Arrays of its own."""
        return replace(self, **{name: value.copy() for name, value in vars(self).items()})

    def put(self, indices: AnyArray, others: "Assignments") -> None:
        """Replace those of the particles `indices`."""
        for name, value in vars(self).items():
            value[indices] = getattr(others, name)
