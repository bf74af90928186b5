"""What a classified particle is like: how much of its class average is in its image, and what else is.

Every image is compared once, at the class, angle and offset that it was given, on the coefficients that
RELION's arithmetic compares (docs/class2d.md): X is the masked image, M the class average turned, moved and
multiplied by the CTF, sigma^2 the noise of a coefficient's real and imaginary part.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from boxwood.backends import Backend
from boxwood.class2d.cartesian.images import Preparation
from boxwood.class2d.cartesian.plane import HalfPlane, Lattice
from boxwood.imaging.masks import radius_grid
from boxwood.typing import AnyArray

# Cycles per particle diameter up to which a residual is that of ice, carbon and neighbours.
LOW_CYCLES = 4.0
BATCH = 256


@dataclass(frozen=True)
class ParticleMeasures:
    """Per particle; each (n,) float64, nan for a particle that was not measured.

    Attributes
    ----------
    evidence : nats
        Log-likelihood of the class average over that of noise alone, sum of (Re X* M - |M|^2 / 2) / sigma^2.
    likeness
        Part of the class average that is found, sum of Re X* M / sigma^2 over that of |M|^2 / sigma^2: about
        1 for a particle, about 0 for noise.
    leftover
        Mean of |X - M|^2 / (2 sigma^2) over low frequencies: 1 if all but noise is explained.
    mean, deviation
        Of the image within the mask.
    """

    evidence: AnyArray
    likeness: AnyArray
    leftover: AnyArray
    mean: AnyArray
    deviation: AnyArray

    @classmethod
    def none(cls, n: int) -> "ParticleMeasures":
        return cls(*(np.full(n, np.nan) for _ in fields(cls)))


@dataclass(frozen=True)
class Poses:
    """Of some particles: class from 0, degrees, and (n, 2) pixels, signs as in RELION."""

    class_index: AnyArray
    psi_deg: AnyArray
    offset_px: AnyArray

    def __getitem__(self, rows: AnyArray) -> "Poses":
        return Poses(self.class_index[rows], self.psi_deg[rows], self.offset_px[rows])


class ParticleComparison:
    """Class averages, ready to be compared with images.

    Parameters
    ----------
    averages : (k, box, box)
    pixel_size_angstrom, mask_diameter_angstrom : float
    size_px : int
        Edge of the square of coefficients that are compared, even.
    ctf_mode : int
        As `Backend.ctf` has it.
    """

    def __init__(
        self, averages: AnyArray, pixel_size_angstrom: float, mask_diameter_angstrom: float, size_px: int,
        backend: Backend, ctf_mode: int = 0,
    ) -> None:  # fmt: skip
        box = averages.shape[-1]
        self._pixel, self._backend, self._ctf_mode = pixel_size_angstrom, backend, ctf_mode
        self._plane, self._lattice = HalfPlane(box, size_px), Lattice(box, size_px)
        self._transforms = self._lattice.of_images(averages)
        radius = min(mask_diameter_angstrom / (2 * pixel_size_angstrom), box / 2)
        self._prepare = Preparation(self._plane, radius)
        self._inside = radius_grid((box, box)) < radius
        low = LOW_CYCLES * box * pixel_size_angstrom / mask_diameter_angstrom
        self._low = (self._plane.shells > 0) & (self._plane.shells <= max(low, 2))

    def __call__(
        self, images: AnyArray, factors: AnyArray, poses: Poses, ctf: AnyArray | None, noise: AnyArray
    ) -> ParticleMeasures:
        """Compare images with their class averages.

        Parameters
        ----------
        images : (n, box, box) float32
        factors : (n,)
            Grey scale of averages over that of each image.
        poses : Poses
        ctf : (n, 9) or None
            Columns of `Backend.ctf`.
        noise : (n, box / 2 + 1)
            sigma^2 of every shell, for transforms divided by the number of pixels.
        """
        whole = np.rint(poses.offset_px)
        found = self._prepare(images, factors, whole.astype(int)).masked
        found = found * self._plane.phases(poses.offset_px - whole)
        model = self._slices(poses)
        if ctf is not None:
            grid = (self._plane.frequencies / (self._plane.box * self._pixel)).astype(np.float32)
            model *= self._backend.ctf(ctf, grid, self._ctf_mode, 1)
        weight = 1 / np.maximum(noise[:, self._plane.shells], np.finfo(np.float32).tiny)
        weight[:, self._plane.shells == 0] = 0
        cross = ((found.conj() * model).real * weight).sum(axis=1, dtype=np.float64)
        power = ((np.abs(model) ** 2) * weight).sum(axis=1, dtype=np.float64)
        left = np.abs(found[:, self._low] - model[:, self._low]) ** 2 * weight[:, self._low] / 2
        pixels = images[:, self._inside].astype(np.float64)
        return ParticleMeasures(
            evidence=cross - power / 2,
            likeness=cross / np.where(power > 0, power, np.inf),
            leftover=left.mean(axis=1, dtype=np.float64),
            mean=pixels.mean(axis=1),
            deviation=pixels.std(axis=1),
        )

    def _slices(self, poses: Poses) -> AnyArray:
        out = np.empty((len(poses.class_index), len(self._plane.shells)), np.complex64)
        for k, rows in _by_class(poses.class_index):
            turned = np.deg2rad(poses.psi_deg[rows])
            out[rows] = self._lattice.slices(self._transforms[k : k + 1], self._plane, turned)[0]
        return out


def _by_class(class_index: AnyArray) -> Iterator[tuple[int, AnyArray]]:
    for k in np.unique(class_index):
        yield int(k), np.flatnonzero(class_index == k)
