"""The radial mean of the particles: how it is measured, and how well a micrograph agrees with it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from boxwood.backends import Backend
from boxwood.picking.adaptive.filters import Bank, bank, disc, plane_sum
from boxwood.picking.adaptive.maxima import Maxima
from boxwood.picking.adaptive.preparation import Prepared
from boxwood.typing import DoubleArray, FloatArray

WINDOW = 0.65  # diameters: radius up to which the profile counts
_SMOOTH = 1 / 24  # diameters, of measured profiles


def measure_profile(micrographs: Sequence[Prepared], picks: Sequence[Maxima]) -> DoubleArray:
    """Mean over picks and angles of the micrographs, each over its local deviation.

    Returns
    -------
    (radii,) float64
        At radii 0, 1, 2, ... pixels, to past `WINDOW`.
    """
    diameter = micrographs[0].diameter_px
    reach = int(WINDOW * diameter) + 2
    steps = np.arange(-reach, reach + 1)
    radius = np.hypot(steps[:, None], steps)
    patch, weight = np.zeros(radius.shape), np.zeros(radius.shape)
    for micrograph, found in zip(micrographs, picks, strict=True):
        image = np.pad(micrograph.image / micrograph.deviation, reach)
        mask = np.pad(micrograph.mask, reach)
        for y, x in zip(found.y.tolist(), found.x.tolist(), strict=True):
            patch += image[y : y + 2 * reach + 1, x : x + 2 * reach + 1]
            weight += mask[y : y + 2 * reach + 1, x : x + 2 * reach + 1]
    low = np.floor(radius).astype(np.int64)
    total, count = np.zeros(2 * reach + 4), np.zeros(2 * reach + 4)
    for place, share in ((low, 1 - (radius - low)), (low + 1, radius - low)):
        total += np.bincount(place.ravel(), (share * patch).ravel(), len(total))
        count += np.bincount(place.ravel(), (share * weight).ravel(), len(count))
    profile = total[: reach + 1] / np.maximum(count[: reach + 1], 1e-6)
    return ndimage.gaussian_filter1d(profile, diameter * _SMOOTH, mode="nearest")


def particle_diameter(profile: DoubleArray) -> float:
    """Twice the radius where the bright part of a profile ends, that is where its integral is largest."""
    last = int(np.argmax(np.cumsum(profile * np.arange(len(profile)))))
    if last + 1 == len(profile):
        return 2.0 * last
    return 2.0 * (last + float(profile[last] / (profile[last] - profile[last + 1])))


def centre_is_bright(profile: DoubleArray, diameter_px: float) -> bool:
    """Whether a profile is brighter within 0.4 diameters than beyond 0.55."""
    r = np.arange(len(profile))
    return bool(profile[r < 0.4 * diameter_px].mean() > profile[r > 0.55 * diameter_px].mean())


@dataclass(frozen=True)
class RadialFilter:
    """A profile as a filter of zero mean and unit norm within its window.

    Attributes
    ----------
    on_image : Bank
        The filter, and the mean over the window.
    on_mask : Bank
        The filter, its square, and the window: what is missing of them where the mask cuts in.
    """

    on_image: Bank
    on_mask: Bank
    _at_edges: dict[tuple[int, int], FloatArray] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, profile: DoubleArray, diameter_px: float) -> "RadialFilter":
        reach = WINDOW * diameter_px
        window = disc(reach)
        area = plane_sum(window)
        values = np.interp(np.arange(len(window)), np.arange(len(profile)), profile) * window
        values = values - window * plane_sum(values) / area
        values /= np.sqrt(plane_sum(values**2))
        return cls(
            bank([values, window / area], [0, 0], None, reach),
            bank([values, values**2, window / area], [0, 0, 0], None, reach),
        )

    def response(self, micrograph: Prepared, backend: Backend, threads: int = 1) -> FloatArray:
        """Projection of the micrograph on the profile, in local standard deviations of a pixel.

        Where the window is cut by an edge or a mask, the mean is that of the rest, and the filter has unit
        norm there, too.
        """
        (projection, mean), _ = self.on_image.apply(micrograph.image, backend, threads)
        return self.normalised(projection, mean, self.cut(micrograph, backend, threads), micrograph.deviation)

    def cut(self, micrograph: Prepared, backend: Backend, threads: int = 1) -> FloatArray:
        """(3, ny, nx): sums over the mask of the filter, its square, and the window.

        Clean micrographs of one size share them.
        """
        known = self._at_edges.get(micrograph.shape) if micrograph.is_clean else None
        if known is not None:
            return known
        sums = self.on_mask.apply(micrograph.mask, backend, threads)[0]
        if micrograph.is_clean:
            self._at_edges[micrograph.shape] = sums
        return sums

    @staticmethod
    def normalised(
        projection: FloatArray, mean: FloatArray, cut: FloatArray, deviation: FloatArray
    ) -> FloatArray:
        total, squares, area = cut
        mean = mean / np.maximum(area, np.float32(0.1))
        return (projection - mean * total) / np.sqrt(np.maximum(squares, np.float32(0.2))) / deviation
