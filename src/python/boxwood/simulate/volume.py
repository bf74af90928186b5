"""Projections of a density map by interpolating central slices of its transform."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from boxwood.errors import InputError
from boxwood.imaging.fourier import centred_indices, inverse, signed_frequencies
from boxwood.typing import AnyArray, DoubleArray, FloatArray

_TAPS = 4
_PADDING = 2
# Shape parameter for this width and padding: Beatty, Nishimura and Pauly (2005), IEEE TMI 24, 799, eq. 5.
_BETA = np.pi * np.sqrt((_TAPS / _PADDING) ** 2 * (_PADDING - 0.5) ** 2 - 0.8)


@dataclass(frozen=True)
class Volume:
    """A density map, for instance read from an MRC file.

    Attributes
    ----------
    data : (n, n, n)
        Voxels in the order z, y, x; the centre of the particle is voxel n//2.
    pixel_size_angstrom : float
    """

    data: AnyArray
    pixel_size_angstrom: float

    def __post_init__(self) -> None:
        if self.data.ndim != 3 or len(set(self.data.shape)) != 1:
            raise InputError(
                f"a volume must be a cube; got shape {self.data.shape}, crop or pad it to equal sides"
            )
        if not self.pixel_size_angstrom > 0:
            raise InputError(
                f"the volume's pixel size is {self.pixel_size_angstrom} Angstrom; give the true one"
            )

    @cached_property
    def diameter_angstrom(self) -> float:
        """Twice the largest distance from the centre of a voxel above a quarter of the maximum."""
        outer = np.argwhere(self.data > 0.25 * self.data.max()) - len(self.data) // 2
        return 2 * self.pixel_size_angstrom * float(np.linalg.norm(outer, axis=1).max(initial=0.0))

    @property
    def finest_pixel_angstrom(self) -> float:
        """Largest pixel that samples the projections fully."""
        return self.pixel_size_angstrom

    def project(
        self,
        rotations: DoubleArray,
        box_px: int,
        pixel_size_angstrom: float,
        shifts_px: AnyArray | float = 0.0,
    ) -> FloatArray:
        """Integrals along z after rotation, at any pixel size; see `GaussianPhantom.project`.

        Spatial frequencies beyond the volume's own Nyquist frequency are zero.
        """
        shifts = np.broadcast_to(np.asarray(shifts_px, np.float64), (len(rotations), 2))
        fx, fy = np.meshgrid(np.arange(box_px // 2 + 1) / box_px, signed_frequencies(box_px) / box_px)
        scale = self.pixel_size_angstrom / pixel_size_angstrom
        inside = np.hypot(fx, fy) * scale < 0.5
        flat = np.stack([fx[inside], fy[inside]], axis=1)
        spectra = np.zeros((len(rotations), *fx.shape), np.complex64)
        for spectrum, rotation, shift in zip(spectra, rotations, shifts, strict=True):
            # p(k) = V(A^T k), moved from pixel 0 to the origin of the box and by the shift
            phase = np.exp(-2j * np.pi * flat @ (shift + box_px // 2))
            spectrum[inside] = self._interpolate(flat @ rotation[:2] * scale) * phase
        spectra *= self.pixel_size_angstrom**3 / (pixel_size_angstrom * box_px) ** 2
        return inverse(spectra, (box_px, box_px)).astype(np.float32)

    @cached_property
    def _transform(self) -> AnyArray:
        """Unscaled transform on a grid twice as fine, zero frequency central, ready to be interpolated."""
        n = len(self.data)
        window = _kernel_transform(centred_indices(n) / (_PADDING * n))
        z, y, x = np.ix_(window, window, window)
        padded = np.zeros((_PADDING * n,) * 3, np.float32)
        # the origin goes to element 0 of the padded array, so that the transform has no phase ramp
        where = np.ix_(*[centred_indices(n) % (_PADDING * n)] * 3)
        padded[where] = self.data / (z * y * x)
        return np.fft.fftshift(np.fft.fftn(padded)).astype(np.complex64)

    def _interpolate(self, frequencies: DoubleArray) -> AnyArray:
        """Transform at frequencies (m, 3), x y z in cycles per voxel, by Kaiser-Bessel gridding."""
        transform = self._transform
        side = len(transform)
        place = frequencies * side + side // 2
        first = np.floor(place).astype(np.int64) - (_TAPS // 2 - 1)
        taps = first[:, :, None] + np.arange(_TAPS)
        weights = _kernel(taps - place[:, :, None])
        ix, iy, iz = np.moveaxis(taps % side, 1, 0)
        wx, wy, wz = np.moveaxis(weights, 1, 0)
        values = transform[iz[:, :, None, None], iy[:, None, :, None], ix[:, None, None, :]]
        return np.einsum("mzyx,mz,my,mx->m", values, wz, wy, wx, optimize=True)


def _kernel(distance: AnyArray) -> AnyArray:
    """Kaiser-Bessel window of width `_TAPS` grid steps."""
    inside = np.clip(1 - (2 * distance / _TAPS) ** 2, 0, None)
    return np.where(np.abs(distance) <= _TAPS / 2, np.i0(_BETA * np.sqrt(inside)), 0.0)


def _kernel_transform(position: AnyArray) -> AnyArray:
    """Fourier transform of `_kernel` at positions in units of the padded volume's side."""
    root = np.sqrt(_BETA**2 - (np.pi * _TAPS * position) ** 2)
    return _TAPS * np.sinh(root) / root
