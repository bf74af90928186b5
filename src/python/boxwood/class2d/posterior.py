"""The most probable poses of every particle, not the best alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from boxwood.typing import AnyArray


@dataclass(frozen=True)
class Posterior:
    """The largest samples of each particle's posterior, by decreasing weight.

    Attributes
    ----------
    class_index : (n, top) int32
        From 0; -1 where a particle has fewer samples.
    psi_deg : (n, top) float32
    offset_px : (n, top, 2) float32
    weight : (n, top) float32
        Posterior probability.
    """

    class_index: AnyArray
    psi_deg: AnyArray
    offset_px: AnyArray
    weight: AnyArray

    @classmethod
    def empty(cls, n: int, top: int) -> "Posterior":
        return cls(
            np.full((n, top), -1, np.int32),
            np.zeros((n, top), np.float32),
            np.zeros((n, top, 2), np.float32),
            np.zeros((n, top), np.float32),
        )

    @property
    def top(self) -> int:
        """Samples of each particle."""
        return self.weight.shape[1]

    def copy(self) -> "Posterior":
        return Posterior(*(value.copy() for value in vars(self).values()))

    @classmethod
    def of(
        cls, result: dict[str, Any], psi_deg: AnyArray, offsets: AnyArray, centres: AnyArray
    ) -> "Posterior":
        """What the kernel found for some particles.

        Parameters
        ----------
        result : dict
            Of `Backend.expectation`.
        psi_deg : (angles,)
        offsets : (1 or n, t, 2), centres : (n, 2)
            What is searched, and around where.
        """
        samples, weight = result["top_samples"], result["top_weights"]
        rows = np.arange(len(centres))[:, None] if len(offsets) > 1 else 0
        offset = centres[:, None, :] + offsets[rows, samples[..., 2]]
        return cls(
            np.where(weight > 0, samples[..., 0], -1).astype(np.int32),
            np.where(weight > 0, psi_deg[samples[..., 1]], 0).astype(np.float32),
            np.where(weight[..., None] > 0, offset, 0).astype(np.float32),
            weight,
        )

    def put(self, indices: AnyArray, others: "Posterior") -> None:
        """Replace those of the particles `indices`."""
        for name, value in vars(self).items():
            value[indices] = getattr(others, name)
