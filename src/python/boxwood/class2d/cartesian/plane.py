"""Half of Fourier space as RELION samples it: coefficients of images, and the finer lattice of references.

Transforms are divided by the number of pixels. Docs: docs/class2d.md, "RELION's own arithmetic".
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from boxwood.imaging.fourier import forward, inverse, window
from boxwood.imaging.masks import radius_grid
from boxwood.typing import AnyArray

# How much larger than the image the lattice of a reference is, along each side (RELION's --pad 2).
PADDING = 2


@dataclass(frozen=True)
class HalfPlane:
    """The independent coefficients of images of `box` px in a square of edge `size`, by increasing radius.

    x is 0 to size / 2 and y -size / 2 + 1 to size / 2; of a pair of conjugates on x = 0 that with y > 0
    counts. Shells are rounded radii, 0 to size / 2; the first coefficient is f = 0.

    Attributes
    ----------
    box, size : int
    """

    box: int
    size: int

    @cached_property
    def frequencies(self) -> AnyArray:
        """(m, 2) float64: x and y in cycles per box, by shell."""
        half = self.size // 2
        x, y = (a.ravel() for a in np.meshgrid(np.arange(half + 1), np.arange(1 - half, half + 1)))
        shell = np.rint(np.hypot(x, y))
        used = (shell <= half) & ((x > 0) | (y >= 0))
        order = np.lexsort((y[used], x[used], shell[used]))
        return np.stack([x[used], y[used]], axis=1)[order].astype(np.float64)

    @cached_property
    def shells(self) -> AnyArray:
        """(m,) int64."""
        return np.rint(np.hypot(*self.frequencies.T)).astype(np.int64)

    @cached_property
    def reached(self) -> AnyArray:
        """(m,) bool: within the radius size / 2, where references are not zero."""
        return (self.frequencies**2).sum(axis=1) <= (self.size // 2) ** 2

    def of(self, transforms: AnyArray) -> AnyArray:
        """(n, m) coefficients of half-complex transforms (n, box, box / 2 + 1)."""
        x, y = self.frequencies.astype(np.int64).T
        return transforms[:, y % self.box, x]

    def within(self, size: int) -> int:
        """Number of coefficients that a smaller square has; they are the first."""
        return int(np.searchsorted(self.shells, size // 2, side="right"))

    def phases(self, shifts: AnyArray) -> AnyArray:
        """(n, m) complex64 that shift an image by (x, y) pixels, (n, 2), when multiplied in."""
        return np.exp(-2j * np.pi / self.box * (shifts @ self.frequencies.T)).astype(np.complex64)

    def shell_sums(self, values: AnyArray) -> AnyArray:
        """Sums over shells (..., size / 2 + 1) of values (..., m)."""
        start = np.searchsorted(self.shells, np.arange(self.size // 2 + 1))
        return np.add.reduceat(values, start, axis=-1)


def interpolation_decline(shape: tuple[int, ...], box: int) -> AnyArray:
    """What linear interpolation on the padded lattice multiplies images by: sinc^2(r / padded box)."""
    return np.sinc(radius_grid((shape[0], shape[1])) / (box * PADDING)) ** 2


@dataclass(frozen=True)
class Lattice:
    """Padded transforms as arrays (..., 2 edge + 1, edge + 1): y from -edge to edge, x from 0 to edge.

    Attributes
    ----------
    box : int
    size : int
        Of the images that are compared; coefficients reach as far as these, and lie twice as dense.
    """

    box: int
    size: int

    @property
    def edge(self) -> int:
        """Largest index along an axis; the outermost ones are zero, or are written to and not used."""
        return PADDING * (self.size // 2) + 1

    @cached_property
    def radius(self) -> AnyArray:
        """(2 edge + 1, edge + 1) float64."""
        return np.hypot(self._rows[:, None], np.arange(self.edge + 1))

    @cached_property
    def shells(self) -> AnyArray:
        """(2 edge + 1, edge + 1) int64: shell of the images that each point is in, -1 beyond the last."""
        inside = self.radius <= PADDING * (self.size // 2)
        # An even transform has no row of its lowest frequency.
        inside &= (self._rows > -PADDING * self.box // 2)[:, None]
        return np.where(inside, np.floor(self.radius / PADDING + 0.5), -1).astype(np.int64)

    @cached_property
    def _rows(self) -> AnyArray:
        return np.arange(-self.edge, self.edge + 1)

    def shell_means(self, values: AnyArray) -> AnyArray:
        """(k, size / 2 + 1) means of real values (k, 2 edge + 1, edge + 1) over all points of a shell."""
        used = self.shells >= 0
        shells = self.shells[used]
        count = np.bincount(shells)
        return np.array([np.bincount(shells, weights=v[used]) for v in values]) / count

    def of_images(self, images: AnyArray) -> AnyArray:
        """(k, 2 edge + 1, edge + 1) transforms of references (k, box, box), fit for linear interpolation."""
        ready = images / interpolation_decline(images.shape[1:], self.box)
        wide = np.fft.ifftshift(window(ready, (PADDING * self.box,) * 2), axes=(1, 2))
        transforms = forward(wide) * PADDING**2
        rows, places, columns = self._within_padded
        out = np.zeros((len(images), *self.shells.shape), dtype=np.complex128)
        out[:, rows, : columns.stop] = transforms[:, places, columns]
        return np.where(self.shells >= 0, out, 0.0)

    def to_images(self, values: AnyArray) -> AnyArray:
        """(k, box, box) float64 images of Hermitian values (k, 2 edge + 1, edge + 1).

        What linear interpolation took away is not yet put back.
        """
        padded = PADDING * self.box
        rows, places, columns = self._within_padded
        transforms = np.zeros((len(values), padded, padded // 2 + 1), dtype=np.complex128)
        transforms[:, places, columns] = values[:, rows, : columns.stop]
        wide = np.fft.fftshift(inverse(transforms, (padded, padded)), axes=(1, 2))
        return window(wide, (self.box, self.box)) / PADDING**2

    @cached_property
    def _within_padded(self) -> tuple[AnyArray, AnyArray, slice]:
        """Rows of the lattice that the padded transform has, where it has them, and its first columns."""
        padded = PADDING * self.box
        rows = np.flatnonzero((self._rows > -padded // 2) & (self._rows <= padded // 2))
        return rows, self._rows[rows] % padded, slice(0, min(self.edge, padded // 2) + 1)

    def neighbours(self, plane: HalfPlane, psi_rad: float) -> tuple[AnyArray, AnyArray, AnyArray]:
        """The four lattice points around each coefficient of an image turned by psi.

        Returns
        -------
        indices : (4, m) int64
            Into flattened transforms.
        weights : (4, m) float64
            Of linear interpolation; zero where references are not reached.
        mirrored : (m,) bool
            Where the conjugate is at the place.
        """
        c, s = np.cos(psi_rad), np.sin(psi_rad)
        turned = PADDING * plane.frequencies @ np.array([[c, s], [-s, c]])
        mirrored = turned[:, 0] < 0
        x, y = np.where(mirrored[:, None], -turned, turned).T
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        width = self.edge + 1
        corner = ((y0 + self.edge) * width + x0).astype(np.int64)
        corner = np.where(plane.reached, corner, 0)
        weights = np.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
        indices = corner + np.array([0, 1, width, width + 1])[:, None]
        return indices, np.where(plane.reached, weights, 0.0), mirrored

    def slices(self, transforms: AnyArray, plane: HalfPlane, psi_rad: AnyArray) -> AnyArray:
        """(k, psi, m) complex64: transforms of references turned by each angle."""
        flat = transforms.reshape(len(transforms), -1)
        out = np.empty((len(transforms), len(psi_rad), len(plane.shells)), dtype=np.complex64)
        for i, psi in enumerate(psi_rad):
            indices, weights, mirrored = self.neighbours(plane, psi)
            values = np.einsum("kcm,cm->km", flat[:, indices], weights)
            out[:, i] = np.where(mirrored, np.conj(values), values)
        return out

    def insert(self, values: AnyArray, plane: HalfPlane, psi_rad: AnyArray) -> AnyArray:
        """Transforms (k, 2 edge + 1, edge + 1) from sums over slices (k, psi, m): the adjoint of `slices`.

        Complex values become Hermitian: on x = 0 both members of a pair are added.
        """
        out = np.zeros((len(values), self.shells.size), dtype=np.result_type(values, np.float64))
        for i, psi in enumerate(psi_rad):
            indices, weights, mirrored = self.neighbours(plane, psi)
            folded = np.where(mirrored, np.conj(values[:, i]), values[:, i])
            for k, of_class in enumerate(folded):
                _add_at(out[k], indices.ravel(), (of_class * weights).ravel())
        out = out.reshape(len(values), *self.shells.shape)
        axis = out[:, :, 0]
        middle = out[:, self.edge, 0].copy()
        out[:, :, 0] = axis + np.conj(axis[:, ::-1])
        out[:, self.edge, 0] = middle.real
        return out


def _add_at(out: AnyArray, index: AnyArray, values: AnyArray) -> None:
    if np.iscomplexobj(values):
        out.real += np.bincount(index, weights=values.real, minlength=len(out))
        out.imag += np.bincount(index, weights=values.imag, minlength=len(out))
    else:
        out += np.bincount(index, weights=values, minlength=len(out))
