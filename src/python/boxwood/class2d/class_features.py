"""What can be measured on the classes of a 2D classification that tells views of a particle from junk.

Every feature is a pure number: lengths count in diameters of the mask, grey values in their own spread. So
they compare between boxes, pixel sizes, programs and molecules. The object is what lies above Otsu's
threshold in the average, smoothed to a twelfth of the mask's diameter; its surroundings are the rest of the
mask without holes in the object.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from boxwood.class2d.robust import weighted_median
from boxwood.errors import InputError
from boxwood.imaging.fourier import forward, frequency_grid, inverse
from boxwood.imaging.masks import radius_grid
from boxwood.typing import AnyArray, DoubleArray

BoolArray = npt.NDArray[np.bool_]

BORDER = 0.85
SMOOTH_CYCLES, LOW_CYCLES, MIDDLE_CYCLES = 12.0, 3.0, 6.0
# Diameters; stands for an accuracy that is not known, and for any worse one.
WORST_SHIFT = 0.3


@dataclass(frozen=True)
class Feature:
    """A feature in words: what it is, and what is said of a class with a good or a poor value."""

    meaning: str
    good: str
    poor: str


FEATURES: Mapping[str, Feature] = {
    "contrast": Feature(
        "log of (mean of the object - mean of its surroundings) / standard deviation of the surroundings",
        "stands out from flat surroundings",
        "hardly stands out from its surroundings",
    ),
    "border": Feature(
        "log of the standard deviation in the outer 15 % of the mask's radius over that in the whole mask",
        "quiet at the border of the mask",
        "busy at the border of the mask",
    ),
    "centre": Feature(
        "distance of the object's centre of mass from the centre, in radii of the mask",
        "well centred",
        "off-centre",
    ),
    "size": Feature(
        "absolute difference of the log of the object's radius of gyration from that of the median class",
        "as large as the others",
        "of another size than the others",
    ),
    "detail": Feature(
        "log of the power at 3 to 6 cycles per diameter over that below 3, above the median class's",
        "more detail than most",
        "less detail than most",
    ),
    "placing": Feature(
        "log of the smallest shift that its particles notice over that of the median class",
        "its particles are placed well",
        "its particles are placed poorly",
    ),
    "halves": Feature(
        "mean Fourier ring correlation of its two halves, 3 to 6 cycles per diameter",
        "its halves agree",
        "its halves disagree",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class ClassFiles:
    """What the files of an iteration say of its classes; nan or inf where something is not known.

    Attributes
    ----------
    averages : (K, box, box)
        Particles bright.
    share : (K,)
        Part of the particles in each.
    accuracy_angstrom : (K,)
        The smallest shift that particles of the class notice.
    pixel_size_angstrom, mask_diameter_angstrom : float
    frc : (K, rings) or None
        Fourier ring correlation of two halves on rings 1, 2, ... of the box; None if it was not measured.
    """

    averages: AnyArray
    share: AnyArray
    accuracy_angstrom: AnyArray
    pixel_size_angstrom: float
    mask_diameter_angstrom: float
    frc: AnyArray | None = None

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, name)) for name in _PER_CLASS}
        if len(lengths) != 1 or (self.frc is not None and len(self.frc) not in lengths):
            counts = ", ".join(f"{len(getattr(self, name))} {name}" for name in _PER_CLASS)
            raise InputError(f"The classes are described by {counts}; give one of each per class.")
        if self.mask_radius_px < 2:
            raise InputError(
                f"A mask of {self.mask_diameter_angstrom:g} A is {2 * self.mask_radius_px:.1f} pixels wide; "
                "give the particle's diameter in Angstrom."
            )

    @property
    def mask_radius_px(self) -> float:
        """At most half the box."""
        return float(
            min(self.mask_diameter_angstrom / (2 * self.pixel_size_angstrom), self.averages.shape[-1] / 2)
        )


_PER_CLASS = ("averages", "share", "accuracy_angstrom")


def class_features(files: ClassFiles) -> pd.DataFrame:
    """One row per class, from 1, and a column per feature; nan in all of them for a class that has no image.

    `halves` is there only where the files have it.
    """
    appearance = _appearances(files)
    share = np.asarray(files.share, np.float64)
    seen = np.isfinite(appearance["contrast"]) & (share > 0)
    diameter = 2 * files.mask_radius_px * files.pixel_size_angstrom
    weight = np.where(seen, share, 0)

    def beside_the_median(values: DoubleArray) -> DoubleArray:
        return values - weighted_median(values, weight)

    columns = {
        **appearance,
        "size": np.abs(beside_the_median(appearance["extent"])),
        "detail": beside_the_median(appearance["detail"]),
        "placing": beside_the_median(_log_accuracy(np.asarray(files.accuracy_angstrom) / diameter)),
    }
    if files.frc is not None:
        columns["halves"] = _halves(files, diameter)
    table = pd.DataFrame(columns, index=pd.RangeIndex(1, len(share) + 1, name="class"))
    table.loc[~seen] = np.nan
    return table[[name for name in FEATURES if name in table]]


def _appearances(files: ClassFiles) -> dict[str, DoubleArray]:
    """Features of the pictures."""
    radius = radius_grid(files.averages.shape[1:])
    mask = radius < files.mask_radius_px
    box = files.averages.shape[-1]
    diameter = 2 * files.mask_radius_px
    cycles = np.linalg.norm(frequency_grid((box, box), 1.0), axis=-1) * diameter
    averages = np.asarray(files.averages, np.float64)
    finite = np.asarray(np.isfinite(averages).all(axis=(1, 2)))
    averages = np.where(finite[:, None, None], averages, 0.0)
    smooth = inverse(forward(averages) * np.exp(-((cycles / SMOOTH_CYCLES) ** 2)), (box, box))
    look = _Look(radius, mask, cycles, files.mask_radius_px)
    rows = [look(image, soft) for image, soft in zip(averages, smooth, strict=True)]
    return {name: np.array([row[name] for row in rows]) for name in _LOOKS}


_LOOKS = ("contrast", "border", "centre", "extent", "detail")


class _Look:
    """The features of a single picture."""

    def __init__(self, radius: DoubleArray, mask: BoolArray, cycles: DoubleArray, radius_px: float) -> None:
        self._mask, self._radius_px = mask, radius_px
        self._border = mask & (radius > BORDER * radius_px)
        self._low, self._middle = cycles < LOW_CYCLES, (cycles >= LOW_CYCLES) & (cycles < MIDDLE_CYCLES)
        offset = np.arange(len(mask)) - len(mask) // 2
        self._x, self._y = np.meshgrid(offset.astype(np.float64), offset.astype(np.float64))

    def __call__(self, image: DoubleArray, smooth: DoubleArray) -> dict[str, float]:
        """nan for a picture that is flat inside the mask."""
        inside = smooth[self._mask]
        if np.ptp(inside) <= 1e-12 * np.abs(inside).max():
            return dict.fromkeys(_LOOKS, np.nan)
        threshold = otsu_threshold(inside)
        above = self._mask & (smooth > threshold)
        pieces, count = ndimage.label(above)
        brightness = ndimage.sum(smooth - threshold, pieces, np.arange(1, count + 1))
        largest = pieces == 1 + int(np.argmax(brightness))
        weight = np.where(above, smooth - threshold, 0.0)
        weight /= weight.sum()
        centre = np.hypot((weight * self._x).sum(), (weight * self._y).sum())
        gyration = np.sqrt((weight * (self._x**2 + self._y**2)).sum())
        return {
            "contrast": self._contrast(image, above, largest),
            "border": float(np.log(image[self._border].std() / image[self._mask].std() + 0.01)),
            "centre": float(centre / self._radius_px),
            "extent": float(np.log(max(gyration, 0.5) / self._radius_px)),
            "detail": self._detail(image),
        }

    def _contrast(self, image: DoubleArray, above: BoolArray, largest: BoolArray) -> float:
        surroundings = image[self._mask & ~ndimage.binary_fill_holes(above)]
        ratio = 0.0  # an object that encloses the whole mask stands out from nothing
        if surroundings.size:
            spread = max(float(surroundings.std()), 1e-3 * float(np.ptp(image[self._mask])))
            ratio = float(image[largest].mean() - surroundings.mean()) / spread
        return float(np.log(max(ratio, 0.1)))

    def _detail(self, image: DoubleArray) -> float:
        power = np.abs(forward(np.where(self._mask, image - image[self._mask].mean(), 0.0))) ** 2
        return float(np.log(power[self._middle].sum() / power[self._low].sum() + 1e-6))


def _log_accuracy(diameters: DoubleArray) -> DoubleArray:
    known = np.isfinite(diameters) & (diameters > 0)
    return np.log(np.clip(np.where(known, diameters, WORST_SHIFT), 1e-3 * WORST_SHIFT, WORST_SHIFT))


def _halves(files: ClassFiles, diameter_angstrom: float) -> DoubleArray:
    frc = np.nan_to_num(np.asarray(files.frc, np.float64))
    ring = np.arange(1, frc.shape[1] + 1)
    length = files.averages.shape[-1] * files.pixel_size_angstrom
    cycles = ring * diameter_angstrom / length
    used = (cycles >= LOW_CYCLES) & (cycles < MIDDLE_CYCLES)
    if not used.any():
        return np.zeros(len(frc))
    return np.average(np.clip(frc[:, used], -1, 1), axis=1, weights=ring[used])


def otsu_threshold(values: AnyArray) -> float:
    """The grey value that best divides `values` in two: the largest variance between the parts (Otsu 1979).

    Parameters
    ----------
    values : (n,), not all equal

    Returns
    -------
    float, halfway between the two neighbouring values that it divides
    """
    ordered = np.sort(np.asarray(values, np.float64), axis=None)
    ordered_mean = ordered.mean()
    below = np.arange(1, len(ordered))
    moment = np.cumsum(ordered - ordered_mean)[:-1]
    between = moment**2 / (below * (len(ordered) - below))
    cut = int(np.argmax(between))
    return float(ordered[cut] + ordered[cut + 1]) / 2
