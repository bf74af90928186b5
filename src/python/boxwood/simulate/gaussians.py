"""Densities made of Gaussians, whose projections are exact, and two designs of them."""

from dataclasses import dataclass

import numpy as np

from boxwood.typing import AnyArray, DoubleArray, FloatArray


@dataclass(frozen=True)
class GaussianPhantom:
    """A particle as a sum of equal isotropic Gaussians of unit mass.

    Attributes
    ----------
    centres : (m, 3) float64
        x, y, z in Angstrom from the centre of the particle.
    sigma_angstrom : float
    """

    centres: DoubleArray
    sigma_angstrom: float

    @property
    def diameter_angstrom(self) -> float:
        """Of the smallest sphere around the centre that holds every Gaussian to two sigma."""
        return 2 * float(np.linalg.norm(self.centres, axis=1).max() + 2 * self.sigma_angstrom)

    @property
    def finest_pixel_angstrom(self) -> float:
        """Largest pixel that samples the projections fully: the transform is below 1e-6 at Nyquist."""
        return self.sigma_angstrom * float(np.pi / np.sqrt(2 * np.log(1e6)))

    def density(self, box_px: int, pixel_size_angstrom: float) -> FloatArray:
        """Mass per cubic Angstrom at the voxels (z, y, x) of a cube."""
        return self._sum(self.centres[:, ::-1] / pixel_size_angstrom, box_px, pixel_size_angstrom)

    def project(
        self,
        rotations: DoubleArray,
        box_px: int,
        pixel_size_angstrom: float,
        shifts_px: AnyArray | float = 0.0,
    ) -> FloatArray:
        """Integrals along z after rotation, sampled at the pixels.

        Parameters
        ----------
        rotations : (n, 3, 3)
        box_px : int
        pixel_size_angstrom : float
        shifts_px : (n, 2), optional
            Where the centre of the particle comes to lie, x and y from pixel box//2.

        Returns
        -------
        (n, box, box) float32
            Mass per square Angstrom.
        """
        shifts = np.broadcast_to(np.asarray(shifts_px, np.float64), (len(rotations), 2))
        images = np.empty((len(rotations), box_px, box_px), np.float32)
        for image, rotation, shift in zip(images, rotations, shifts, strict=True):
            places = self.centres @ rotation[:2].T / pixel_size_angstrom + shift
            image[:] = self._sum(places[:, ::-1], box_px, pixel_size_angstrom)
        return images

    def _sum(self, places_px: DoubleArray, box_px: int, pixel_size_angstrom: float) -> FloatArray:
        """Gaussians of unit mass around places (m, axes), cut off at `_REACH` sigma, summed on a grid.

        Touching only the pixels near each Gaussian beats products of whole profiles, and needs no BLAS,
        whose threads would compete with those of the caller.
        """
        sigma = self.sigma_angstrom / pixel_size_angstrom
        reach = int(np.ceil(_REACH * sigma))
        nearest = np.rint(places_px).astype(np.int64)
        pixels = nearest[:, :, None] + np.arange(-reach, reach + 1)
        profiles = np.exp(-0.5 * ((pixels - places_px[:, :, None]) / sigma) ** 2)
        profiles /= np.sqrt(2 * np.pi) * self.sigma_angstrom
        pixels += box_px // 2
        profiles[(pixels < 0) | (pixels >= box_px)] = 0
        pixels = np.clip(pixels, 0, box_px - 1)
        values, index = profiles[:, 0], pixels[:, 0]
        for axis in range(1, places_px.shape[1]):
            values = (values[:, :, None] * profiles[:, axis, None]).reshape(len(values), -1)
            index = (index[:, :, None] * box_px + pixels[:, axis, None]).reshape(len(values), -1)
        shape = (box_px,) * places_px.shape[1]
        total = np.bincount(index.ravel(), values.ravel(), minlength=int(np.prod(shape)))
        return total.reshape(shape).astype(np.float32)


_REACH = 5.0  # exp(-12.5) = 4e-6 of the peak is left out
# One subunit: ellipsoidal domains (centre, half axes, direction of the rods inside; Angstrom).
_DOMAINS = (
    ((30, 25, 10), (24, 24, 24), (1.0, 0.2, 0.4)),
    ((62, 30, -6), (20, 16, 18), (0.1, 1.0, 0.3)),
    ((40, 49, 26), (16, 14, 16), (-0.3, 0.2, 1.0)),
    ((18, 48, -18), (15, 14, 14), (0.7, 0.7, -0.2)),
    ((66, 12, 22), (15, 12, 14), (0.0, -0.6, 0.8)),
)
_ROD_SPACING = 10.0  # between the axes of neighbouring helices
_ROD_STEP = 4.5  # at sigma 3 a chain of Gaussians this far apart is smooth to 3 %
_ROD_SIGMA = 3.0


def beta_galactosidase() -> GaussianPhantom:
    """A tetramer like beta-galactosidase: D2 symmetry, about 170 x 130 x 90 Angstrom, detail to 10 Angstrom.

    Each subunit has five domains packed with parallel rods, the size and spacing of helices, whose
    direction differs from domain to domain, so that views can be told apart beyond their outline.
    """
    subunit: list[DoubleArray] = []
    for number, (centre, half_axes, direction) in enumerate(_DOMAINS):
        points = _rods(np.array(direction), reach=max(half_axes)) + centre
        keep = _inside(points, centre, half_axes)
        for earlier, axes, _ in _DOMAINS[:number]:
            keep &= ~_inside(points, earlier, axes)
        subunit.append(points[keep])
    turns = np.array([(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
    centres = np.concatenate(subunit)[None] * turns[:, None]
    return GaussianPhantom(centres.reshape(-1, 3), _ROD_SIGMA)


def apoferritin() -> GaussianPhantom:
    """A hollow sphere like apoferritin, 120 Angstrom across, its shell 20 thick: a ring in any view."""
    layers = [_sphere(160, 47.0), _sphere(240, 56.0)]
    return GaussianPhantom(np.concatenate(layers), 4.0)


def _rods(direction: DoubleArray, reach: float) -> DoubleArray:
    """Points (m, 3) on parallel lines in hexagonal packing, filling at least a ball of radius `reach`."""
    along = direction / np.linalg.norm(direction)
    across = np.cross(along, np.eye(3)[np.argmin(np.abs(along))])
    across /= np.linalg.norm(across)
    third = np.cross(along, across)
    count = int(np.ceil(1.5 * reach / _ROD_STEP))
    i, j, k = np.mgrid[-count : count + 1, -count : count + 1, -count : count + 1].reshape(3, -1)
    return (
        (i + 0.5 * (j % 2))[:, None] * _ROD_SPACING * across
        + j[:, None] * _ROD_SPACING * np.sqrt(0.75) * third
        + k[:, None] * _ROD_STEP * along
    )


def _inside(points: DoubleArray, centre: tuple[int, ...], half_axes: tuple[int, ...]) -> AnyArray:
    return (((points - centre) / half_axes) ** 2).sum(axis=1) < 1


def _sphere(n: int, radius: float) -> DoubleArray:
    """n points spread evenly over a sphere along a golden-angle spiral."""
    z = (2 * np.arange(n) + 1) / n - 1
    longitude = np.arange(n) * np.pi * (3 - np.sqrt(5))
    flat = np.sqrt(1 - z**2)
    return radius * np.stack([flat * np.cos(longitude), flat * np.sin(longitude), z], axis=1)
