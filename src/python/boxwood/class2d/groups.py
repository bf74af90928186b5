"""Which particles share a noise spectrum, a grey scale, and a half."""

from dataclasses import dataclass

import numpy as np

from boxwood.errors import InputError
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class Groups:
    """Of every particle, as indices from 0: optics, noise spectrum, grey scale (micrograph), and half."""

    optics: AnyArray
    noise: AnyArray
    scale: AnyArray
    half: AnyArray

    @classmethod
    def of(
        cls,
        particles: int,
        optics_groups: int,
        optics: AnyArray | None,
        noise: AnyArray | None,
        micrographs: AnyArray | None,
        halves: AnyArray | None,
    ) -> "Groups":
        """Checked indices; None: one group, noise by optics group, every other particle in a half.

        Raises
        ------
        InputError
            An array has not one index from 0 for every particle, names an optics group there is not, or
            particles of several optics groups share a noise spectrum.
        """
        optics = _indices(optics, particles)
        noise = optics if noise is None else _indices(noise, particles)
        half = np.arange(particles) % 2 if halves is None else _indices(halves, particles)
        if optics.max() >= optics_groups:
            raise InputError(
                f"there are {optics_groups} optics groups, and a particle of group {optics.max()}"
            )
        if half.max() > 1:
            raise InputError(f"half_sets has a number {half.max()}; expected 0 or 1 for every particle")
        if len(np.unique(noise * optics_groups + optics)) > len(np.unique(noise)):
            raise InputError(
                "particles of several optics groups share a noise spectrum; give each optics group its own "
                "(noise groups: optics)"
            )
        return cls(optics, noise, _indices(micrographs, particles), half)

    def take(self, rows: AnyArray) -> "Groups":
        """Those of some particles."""
        return Groups(self.optics[rows], self.noise[rows], self.scale[rows], self.half[rows])

    @property
    def scales(self) -> int:
        """Number of grey scales."""
        return int(self.scale.max()) + 1

    def particles_per_scale(self, indices: AnyArray) -> AnyArray:
        """(scales,) how many of some particles have each grey scale."""
        return np.bincount(self.scale[indices], minlength=self.scales)


def _indices(groups: AnyArray | None, n: int) -> AnyArray:
    if groups is None:
        return np.zeros(n, dtype=np.int64)
    groups = np.asarray(groups, dtype=np.int64)
    if groups.shape != (n,) or groups.min() < 0:
        raise InputError(f"group indices have shape {groups.shape}, expected ({n},) numbers from 0")
    return groups
