"""Templates as angular harmonics, so that a few maps hold their correlation at every in-plane angle.

A template's transform T(k, phi) is the sum of T_m(k) exp(i m phi). Turned by psi it has T_m exp(-i m psi), so
that its correlation with a micrograph is the sum over m of exp(i m psi) g_m(x), where g_m needs one transform
back whatever the number of angles.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from boxwood.backends import Backend
from boxwood.imaging.masks import soft_circle
from boxwood.typing import ComplexArray, DoubleArray, FloatArray

SAMPLES = 128  # radii from 0 to Nyquist of the grid
_ANGLES = 96
_KEPT = 0.995  # of a template's energy in the orders that are used
_MOST_ORDERS = 16
_EDGE = 0.1  # of the mask's radius and of the low-pass filter's frequency, over which they fall off


@dataclass(frozen=True)
class HarmonicTemplates:
    """Templates on the grid of a picker.

    Attributes
    ----------
    tables : (templates, orders, SAMPLES) complex64
        T_m(k) at radii up to Nyquist, m = 0, 1, 2, ...
    grid_angstrom : float
        Pixel size of the grid.
    psi_deg : (angles,) float64
    """

    tables: ComplexArray
    grid_angstrom: float
    psi_deg: DoubleArray

    @classmethod
    def of(
        cls,
        images: FloatArray,
        pixel_size_angstrom: float,
        grid_angstrom: float,
        *,
        mask_diameter: float,
        lowpass: float,
        angular_sampling: float,
        backend: Backend,
        threads: int = 1,
    ) -> "HarmonicTemplates":
        """From images (n, box, box), particles white."""
        box = images.shape[-1]
        radius = 0.5 * mask_diameter / pixel_size_angstrom
        mask = soft_circle((box, box), radius * (1 - _EDGE), radius * _EDGE).astype(np.float32)
        k = np.arange(SAMPLES) / (2 * SAMPLES * grid_angstrom)  # 1/Angstrom
        half = np.pi * np.arange(_ANGLES // 2) / (_ANGLES // 2)
        within = k * pixel_size_angstrom < 0.5
        cycles = k[within, None] * pixel_size_angstrom * box
        positions = np.stack([cycles * np.cos(half), cycles * np.sin(half)], axis=-1)
        found, _ = backend.polar_transform(
            np.ascontiguousarray(images, np.float32),
            None,
            mask,
            np.ascontiguousarray(positions.reshape(-1, 2), np.float32),
            threads,
        )
        values = np.zeros((len(images), SAMPLES, _ANGLES), np.complex64)
        values[:, within, : _ANGLES // 2] = found.reshape(len(images), -1, _ANGLES // 2)
        values[:, :, _ANGLES // 2 :] = np.conj(values[:, :, : _ANGLES // 2])
        # Sums of pixels of the images become integrals over the grid's pixels.
        values *= np.float32((pixel_size_angstrom / grid_angstrom) ** 2) * _low_pass(k, lowpass)[:, None]
        harmonics = np.fft.fft(values, axis=2)[:, :, : _MOST_ORDERS + 1] / _ANGLES
        energy = (np.abs(harmonics) ** 2 * k[:, None]).sum(axis=(0, 1))
        energy[1:] *= 2
        orders = 1 + int(np.searchsorted(np.cumsum(energy) / energy.sum(), _KEPT))
        tables = np.ascontiguousarray(np.moveaxis(harmonics, 2, 1)[:, : orders + 1], np.complex64)
        return cls(tables, grid_angstrom, np.arange(0, 360 - 1e-6, angular_sampling))

    def __len__(self) -> int:
        return len(self.tables)

    @cached_property
    def synthesis(self) -> FloatArray:
        """(2 orders - 1, angles): from real and imaginary parts of g_m to the correlation at all angles."""
        m = np.arange(self.tables.shape[1])[:, None]
        angle = m * np.deg2rad(self.psi_deg)
        return np.concatenate([np.cos(angle[:1]), 2 * np.cos(angle[1:]), -2 * np.sin(angle[1:])]).astype(
            np.float32
        )


def _low_pass(k: DoubleArray, resolution: float) -> FloatArray:
    """1 up to the resolution (Angstrom; negative: all), and a soft end."""
    if resolution <= 0:
        return np.ones(len(k), np.float32)
    fall = np.clip((k * resolution - 1 + _EDGE) / (2 * _EDGE), 0, 1)
    return (0.5 + 0.5 * np.cos(np.pi * fall)).astype(np.float32)
