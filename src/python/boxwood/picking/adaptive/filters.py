"""Radial profiles as tables of their Fourier transform, in the form the kernel `steerable` takes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from boxwood.backends import Backend
from boxwood.imaging.polar import good_length
from boxwood.typing import AnyArray, DoubleArray, FloatArray

SAMPLES = 512  # of a table; linear interpolation errs by less than 2e-3 of its peak for radii up to 14 pixels
_STEP = 0.5  # of the radial quadrature, pixels


@dataclass(frozen=True)
class Bank:
    """Filters to correlate an image with.

    Attributes
    ----------
    tables : (n, SAMPLES) float32
    orders : (n,) int32
    weights : (n,) float32
    reach_px : float
        Radius beyond which every filter is zero, or as good as that.
    """

    tables: FloatArray
    orders: AnyArray
    weights: FloatArray
    reach_px: float

    def apply(self, image: FloatArray, backend: Backend, threads: int = 1) -> tuple[FloatArray, FloatArray]:
        """Responses to the filters of order 0, and weighted power of the others; zeros around the image."""
        margin = int(np.ceil(self.reach_px)) + 1
        padded = (good_length(image.shape[0] + margin, 2), good_length(image.shape[1] + margin, 2))
        return backend.steerable(image, padded, self.tables, self.orders, self.weights, threads)


def bank(profiles: list[DoubleArray], orders: list[int], weights: AnyArray | None, reach_px: float) -> Bank:
    """Filters profile(r) exp(i m theta) up to a radius.

    Parameters
    ----------
    profiles : list of (radii,) float64
        Values at the radii 0, 1, 2, ... pixels; linear in between, zero beyond the last.
    orders : list of int
        m.
    weights : (n,), optional
    reach_px : float
    """
    tables = np.array([hankel(p, m, reach_px) for p, m in zip(profiles, orders, strict=True)], np.float32)
    ones = np.ones(len(profiles)) if weights is None else weights
    return Bank(
        tables.reshape(-1, SAMPLES), np.array(orders, np.int32), np.asarray(ones, np.float32), reach_px
    )


def hankel(profile: DoubleArray, order: int, reach_px: float) -> DoubleArray:
    """2 pi times the integral of profile(r) J_m(2 pi k r) r dr, at the SAMPLES frequencies of a table."""
    r, kernel = _bessel(order, int(np.ceil(reach_px)) + 1)
    table = kernel @ np.interp(r, np.arange(len(profile)), profile, right=0.0)
    # What the midpoint rule misses where the integrand begins with a slope (Euler and Maclaurin).
    return table - (2 * np.pi * _STEP**2 / 24 * profile[0] if order == 0 else 0.0)


@lru_cache(maxsize=64)
def _bessel(order: int, reach_px: int) -> tuple[DoubleArray, DoubleArray]:
    """Radii, and the quadrature of the transform on them."""
    from scipy.special import jv

    r = np.arange(0.5 * _STEP, reach_px, _STEP)
    k = np.linspace(0, np.sqrt(0.5), SAMPLES)
    return r, 2 * np.pi * _STEP * r * jv(order, 2 * np.pi * np.outer(k, r))


def disc(radius_px: float) -> DoubleArray:
    """Profile of a disc whose edge is one pixel wide."""
    return np.clip(radius_px + 0.5 - np.arange(int(np.ceil(radius_px)) + 2), 0, 1)


def gaussian_bank(sigma_px: float) -> Bank:
    """A Gaussian of unit sum."""
    k = np.linspace(0, np.sqrt(0.5), SAMPLES)
    table = np.exp(-2 * (np.pi * sigma_px * k) ** 2).astype(np.float32)
    return Bank(table[None], np.zeros(1, np.int32), np.ones(1, np.float32), 2.5 * sigma_px)


def join(*banks: Bank) -> Bank:
    """All filters of several banks in one."""
    return Bank(
        np.concatenate([b.tables for b in banks]),
        np.concatenate([b.orders for b in banks]),
        np.concatenate([b.weights for b in banks]),
        max(b.reach_px for b in banks),
    )


def plane_sum(profile: DoubleArray) -> float:
    """Sum of a radial profile over the plane: 2 pi times the integral of profile(r) r dr."""
    r = np.arange(0.5 * _STEP, len(profile), _STEP)
    return float(2 * np.pi * _STEP * np.interp(r, np.arange(len(profile)), profile, right=0.0) @ r)
