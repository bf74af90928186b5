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

    def fill(
        self, part: AnyArray, result: dict[str, Any], psi_deg: AnyArray, offsets: AnyArray, centres: AnyArray
    ) -> None:
        """Put in what the kernel found for the particles `part`.

        Parameters
        ----------
        part : (m,) int
        result : dict
            Of `Backend.expectation`.
        psi_deg : (angles,)
        offsets : (1 or m, t, 2), centres : (m, 2)
            What is searched, and around where.
        """
        samples, weight = result["top_samples"], result["top_weights"]
        rows = np.arange(len(part))[:, None] if len(offsets) > 1 else 0
        self.class_index[part] = np.where(weight > 0, samples[..., 0], -1)
        self.psi_deg[part] = np.where(weight > 0, psi_deg[samples[..., 1]], 0)
        offset = centres[:, None, :] + offsets[rows, samples[..., 2]]
        self.offset_px[part] = np.where(weight[..., None] > 0, offset, 0)
        self.weight[part] = weight
