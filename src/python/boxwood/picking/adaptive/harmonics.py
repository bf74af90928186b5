"""Views of the particles beyond their radial mean: eigenfunctions of their covariance, free to turn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from boxwood.picking.adaptive.maxima import Maxima
from boxwood.picking.adaptive.preparation import Prepared
from boxwood.typing import AnyArray, DoubleArray

REACH = 0.5  # diameters: what is farther belongs to neighbours
ORDERS = range(2, 9)  # order 1 is the particle's offset from the pick
_ANGLES = 40
_LEAST_RATIO = 0.5  # of the variance due to particles over that of the background
_RANDOM = 800  # places per synthetic micrograph


@dataclass(frozen=True)
class Component:
    """A filter profile(r) exp(i order theta) to which particles respond more than the background.

    Attributes
    ----------
    order : int
    profile : (radii,) float64
        At radii 0, 1, 2, ... pixels.
    ratio : float
        Variance of its coefficient due to the particles over that of the background.
    """

    order: int
    profile: DoubleArray
    ratio: float


def fit_components(
    micrographs: Sequence[Prepared],
    picks: Sequence[Maxima],
    backgrounds: Sequence[Prepared],
    most: int,
    rng: np.random.Generator,
) -> list[Component]:
    """Eigenfunctions of the covariance at picks less that of the background, by decreasing variance.

    The covariance of images that may be turned by any angle is diagonal in the order of the angular
    harmonics, so each order has a small matrix over the radii of its own. A ratio that the
    eigenvalues of a sample of so many picks reach without particles (the edge of Marchenko and Pastur) is not
    believed.
    """
    diameter = micrographs[0].diameter_px
    radii = np.arange(0.5, REACH * diameter, 1.0)
    places = [(m.y.astype(np.float64), m.x.astype(np.float64)) for m in picks]
    count = sum(len(y) for y, _ in places)
    if not count:
        return []
    edge = int(radii[-1]) + 2
    anywhere = [
        tuple(rng.uniform(edge, n - 1 - edge, _RANDOM) for n in background.shape)
        for background in backgrounds
        if min(background.shape) > 2 * edge + 1
    ]
    particles = _covariances(micrographs, places, radii)
    background = _covariances(backgrounds[: len(anywhere)], anywhere, radii)
    least = max(_LEAST_RATIO, (1 + np.sqrt(len(radii) / count)) ** 2 - 1)
    found = []
    for m in ORDERS:
        values, vectors = np.linalg.eigh(particles[m] - background[m])
        for value, vector in zip(values, vectors.T, strict=True):
            noise = float(vector @ background[m] @ vector)
            if noise > 0 and value > least * noise:
                found.append((float(value), m, vector / np.sqrt(2 * np.pi * radii), float(value) / noise))
    found.sort(key=lambda entry: -entry[0])
    at = np.arange(int(np.ceil(radii[-1])) + 2)
    return [
        Component(m, np.interp(at, radii, profile, left=0.0, right=0.0), ratio)
        for _, m, profile, ratio in found[:most]
    ]


def _covariances(
    micrographs: Sequence[Prepared], places: Sequence[tuple[AnyArray, ...]], radii: DoubleArray
) -> DoubleArray:
    """(orders, radii, radii): second moments of the angular harmonics, weighted by the root of the area."""
    angle = 2 * np.pi * np.arange(_ANGLES) / _ANGLES
    root = np.sqrt(2 * np.pi * radii)
    total = np.zeros((ORDERS.stop, len(radii), len(radii)))
    count = 0
    for micrograph, place in zip(micrographs, places, strict=True):
        y, x = place
        if not len(y):
            continue
        rows = y[:, None, None] + radii[:, None] * np.sin(angle)
        columns = x[:, None, None] + radii[:, None] * np.cos(angle)
        samples = ndimage.map_coordinates(micrograph.image, [rows, columns], order=1, mode="constant")
        near = np.rint(y).astype(np.int64), np.rint(x).astype(np.int64)
        harmonics = np.fft.rfft(samples / micrograph.deviation[near][:, None, None], axis=2) / _ANGLES
        for m in ORDERS:
            values = harmonics[:, :, m] * root
            total[m] += (values.conj().T @ values).real
        count += len(y)
    return total / max(count, 1)
