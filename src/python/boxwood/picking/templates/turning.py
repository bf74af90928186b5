"""Templates in Fourier space, turned to all in-plane angles as RELION turns them."""

from collections.abc import Iterator

import numpy as np

from boxwood.errors import InputError
from boxwood.imaging.fourier import centred_indices, frequency_grid, signed_frequencies
from boxwood.picking.geometry import round_half_away, working_size
from boxwood.picking.peaks import check_range
from boxwood.picking.templates.references import References
from boxwood.typing import AnyArray, ComplexArray, DoubleArray, FloatArray

_PADDING = 2
_KEPT_BYTES = 1 << 28  # turned templates are kept for the next micrograph if they need no more
_BLOCK_BYTES = 1 << 25  # of the templates that are correlated at once


class Turned:
    """Templates at all angles, for micrographs of one shape and pixel size.

    A template's transform is sampled twice as finely as the micrograph's and interpolated linearly, without
    correction for that, and up to the filter's resolution alone: RELION's projector.

    Parameters
    ----------
    references : References
    shape : (ny, nx)
        Of the micrographs.
    angular_sampling : float
        Degrees; 360 for no rotation.
    lowpass : float
        Of the templates, Angstrom; -1 for none.
    shrink : float
        As in `pick_log`.

    Attributes
    ----------
    shape : (ny, nx)
    pixel_size_angstrom : float
    side, work : int
        Of the square that holds a micrograph, and of the working grid.
    psi_deg : (angles,) float64
    inside : int
        Pixels of the mask.
    samples : int
        Pixels over which a template's expected score is taken.
    surroundings : (work, work/2 + 1) complex64
        Times a transform: the mean over the corners of the box at every place.
    frequencies : (work, work/2 + 1, 2) float32
        Of the working grid: x and y, 1/Angstrom.
    frequencies_of_templates : (band + 1, band/2 + 1, 2) float32
        Of all that the templates have, y from the most negative.
    """

    def __init__(
        self,
        references: References,
        shape: tuple[int, int],
        *,
        angular_sampling: float = 5.0,
        lowpass: float = 20.0,
        shrink: float = 0.0,
    ) -> None:
        check_range("angular_sampling", angular_sampling, above=0)
        check_range("shrink", shrink, at_least=0)
        pixel, side = references.pixel_size_angstrom, max(shape)
        if references.box_px > side:
            raise InputError(
                f"the references are {references.box_px} micrograph pixels wide, and the micrograph is {side}"
            )
        self.shape, self.side, self.pixel_size_angstrom = shape, side, pixel
        self.work = working_size(side, pixel, lowpass, shrink)
        band = side if lowpass < 0 else 2 * round_half_away(side * pixel / lowpass)
        self._reach = band // 2
        self.psi_deg: DoubleArray = np.arange(0, 360 - 1e-6, angular_sampling)
        mask = references.mask
        self.inside, corners = int(mask.sum()), int((~mask).sum())
        around = _transform((~mask).astype(np.float64), signed_frequencies(self.work), self.work // 2, side)
        self.surroundings = np.conj(around / corners).astype(np.complex64)
        self.frequencies = frequency_grid((self.work, self.work), pixel)
        self.frequencies *= np.float32(self.work / side)
        ky, kx = np.arange(-self._reach, self._reach + 1), np.arange(self._reach + 1)
        grid = np.stack(np.broadcast_arrays(kx, ky[:, None]), axis=-1) / (side * pixel)
        self.frequencies_of_templates: FloatArray = grid.astype(np.float32)
        fine = np.arange(-_PADDING * self._reach - 1, _PADDING * self._reach + 2)
        radius2 = fine[:, None] ** 2 + np.arange(len(fine) // 2 + 1) ** 2
        within = radius2 <= (_PADDING * self._reach) ** 2
        scale = 1 / side**2
        self._tables: ComplexArray = np.stack(
            [
                (_transform(image * mask * scale, fine, len(fine) // 2, _PADDING * side) * within).astype(
                    np.complex64
                )
                for image in references.images
            ]
        )
        at = centred_indices(side)
        at = at[np.abs(at) < references.radius_px]
        disc = at[:, None] ** 2 + at**2 < references.radius_px**2
        self._disc, self._at = disc, at
        self.samples = int(disc.sum())
        size = len(self._tables) * len(self.psi_deg) * self._plane_bytes
        self._kept: list[ComplexArray] = []
        if size <= _KEPT_BYTES:
            self._kept = [self._turn(0, len(self), angle) for angle in range(len(self.psi_deg))]

    def __len__(self) -> int:
        return len(self._tables)

    @property
    def _plane_bytes(self) -> int:
        return 8 * self.work * (self.work // 2 + 1)

    def blocks(self) -> Iterator[tuple[int, int]]:
        """First and last of the templates that are worth correlating at once."""
        step = max(1, _BLOCK_BYTES // self._plane_bytes)
        for first in range(0, len(self), step):
            yield first, min(first + step, len(self))

    def transforms(self, first: int, last: int, angle: int) -> ComplexArray:
        """Transforms of some templates at one angle, (last - first, work, work/2 + 1)."""
        return self._kept[angle][first:last] if self._kept else self._turn(first, last, angle)

    def _turn(self, first: int, last: int, angle: int) -> ComplexArray:
        psi = np.deg2rad(self.psi_deg[angle])
        ky, kx = signed_frequencies(self.work)[:, None], np.arange(self.work // 2 + 1)
        rows, columns = np.nonzero(ky**2 + kx**2 <= self._reach**2)
        y, x = ky[rows, 0].astype(np.float64), kx[columns].astype(np.float64)
        u = _PADDING * (np.cos(psi) * x - np.sin(psi) * y)
        v = _PADDING * (np.sin(psi) * x + np.cos(psi) * y)
        mirrored = u < 0
        u, v = np.abs(u), np.where(mirrored, -v, v)
        i, j = np.floor(v).astype(np.int64), np.floor(u).astype(np.int64)
        fv, fu = (v - i).astype(np.float32), (u - j).astype(np.float32)
        size = self._tables.shape[2]
        place = (i + _PADDING * self._reach + 1) * size + j
        flat = self._tables[first:last].reshape(last - first, -1)
        low = flat[:, place] * (1 - fu) + flat[:, place + 1] * fu
        high = flat[:, place + size] * (1 - fu) + flat[:, place + size + 1] * fu
        values = low * (1 - fv) + high * fv
        turned = np.zeros((last - first, self.work, self.work // 2 + 1), np.complex64)
        turned[:, rows, columns] = np.where(mirrored, np.conj(values), values)
        return turned

    def expectations(
        self, transfer: FloatArray | None, noise: FloatArray
    ) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        """What the templates, not turned, would give in white noise.

        Parameters
        ----------
        transfer : (band + 1, band/2 + 1) float32, optional
            What multiplies their transforms, at `frequencies_of_templates`.
        noise : (templates, samples) float32

        Returns
        -------
        mean, square : (templates,) float64
            Of the filtered template over the mask.
        ratio : (templates,) float64
            The expected probability ratio less 1.
        """
        reach = self._reach
        ky, kx = np.arange(-reach, reach + 1), np.arange(reach + 1)
        within = ky[:, None] ** 2 + kx**2 <= self._reach**2
        middle = _PADDING * self._reach + 1
        rows, columns = middle + _PADDING * ky, _PADDING * kx
        weight = np.where(kx == 0, 1.0, 2.0) * within
        if transfer is not None:
            weight = weight * transfer
        along_y = np.exp(2j * np.pi / self.side * np.outer(self._at, ky))
        along_x = np.exp(2j * np.pi / self.side * np.outer(kx, self._at))
        count = 1 + self.samples
        sums, powers, ratios = np.zeros((3, len(self)))
        for t, table in enumerate(self._tables):
            spectrum = table[rows][:, columns].astype(np.complex128) * weight
            values = (along_y @ spectrum @ along_x).real[self._disc]
            power = float(values @ values)
            sums[t], powers[t] = values.sum() / count, power / count
            ratios[t] = np.expm1((power + 2 * float(values @ noise[t])) / (2 * count))
        return sums, powers, ratios


def _transform(image: DoubleArray, rows: AnyArray, last_column: int, side: int) -> ComplexArray:
    """Sums of image exp(-2 pi i k x / side) at ky = rows, kx = 0 ... last_column; origin in the centre."""
    at = centred_indices(image.shape[0])
    along_y = np.exp(-2j * np.pi / side * np.outer(rows, at))
    along_x = np.exp(-2j * np.pi / side * np.outer(at, np.arange(last_column + 1)))
    return np.asarray(along_y @ image @ along_x)
