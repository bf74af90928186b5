"""A score for class averages, from what can be measured on them: no trained network stands behind it.

The score is this project's own and is not comparable with the predicted score of other programs. It is the
geometric mean of five terms, each between 0 (bad) and 1 (good):

========== =============================================================================================
size       p / (p + 1/2), p the class's share of the particles times the number of classes
resolution the class's resolution over the best one of all classes, as frequencies
contrast   (mean of the object - mean of its surroundings) / standard deviation of the surroundings,
           2 and less is 0, 6 and more is 1
border     1 - (standard deviation in the outer 15 % of the mask's radius) / (the same in the whole mask)
whole      part of the object's brightness that its largest connected piece holds
========== =============================================================================================

The object is what lies above Otsu's threshold inside the mask, the surroundings are the rest of the mask
without holes in the object. Scores of one classification compare; a crowded or uncorrected data set has lower
ones throughout, so a limit is best set as a part of the best class's score.
A term of 0, as of an empty class, makes the score 0. All terms but `size` and `resolution` are unchanged by
a positive scale and an offset of the grey values.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from boxwood.errors import InputError
from boxwood.typing import AnyArray, DoubleArray

BoolArray = npt.NDArray[np.bool_]

# The limits between which contrast counts: on real averages blurred junk has 2 to 4, a clear view 5 to 9.
CONTRAST_NONE, CONTRAST_FULL = 2.0, 6.0
BORDER = 0.85


@dataclass(frozen=True)
class ClassScores:
    """The score of every class and the terms it is made of; each (K,) float64 in 0..1."""

    size: DoubleArray
    resolution: DoubleArray
    contrast: DoubleArray
    border: DoubleArray
    whole: DoubleArray
    score: DoubleArray

    def table(self) -> pd.DataFrame:
        """One row per class, indexed by class number from 1."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return pd.DataFrame(columns, index=pd.RangeIndex(1, len(self.score) + 1, name="class"))


def score_classes(
    averages: AnyArray,
    share: npt.ArrayLike,
    resolution_angstrom: npt.ArrayLike,
    *,
    pixel_size_angstrom: float,
    mask_diameter_angstrom: float,
) -> ClassScores:
    """Judge class averages; the module's text says how.

    Parameters
    ----------
    averages : (K, box, box), particles bright
    share : (K,) part of the particles in each class
    resolution_angstrom : (K,); infinite or nan for a class without
    pixel_size_angstrom, mask_diameter_angstrom : float

    Raises
    ------
    InputError
        The mask covers fewer than nine pixels, or the lengths differ.
    """
    averages = np.asarray(averages, np.float64)
    share, resolution = np.asarray(share, np.float64), np.asarray(resolution_angstrom, np.float64)
    if not len(averages) == len(share) == len(resolution):
        raise InputError(
            f"{len(averages)} class averages come with {len(share)} shares and {len(resolution)} "
            "resolutions; give one of each per class."
        )
    radius = _radius(averages.shape[-1])
    mask_radius = min(mask_diameter_angstrom / (2 * pixel_size_angstrom), averages.shape[-1] / 2)
    mask, border = radius < mask_radius, (radius < mask_radius) & (radius > BORDER * mask_radius)
    if mask.sum() < 9:
        raise InputError(
            f"A mask of {mask_diameter_angstrom:g} A is {2 * mask_radius:.1f} pixels wide; give the "
            "particle's diameter in Angstrom."
        )
    populated = share * len(share)
    size = populated / (populated + 0.5)
    resolved = np.isfinite(resolution) & (resolution > 0)
    frequency = np.where(resolved, 1 / np.where(resolved, resolution, 1), 0)
    resolution = frequency / max(frequency.max(initial=0), np.finfo(float).tiny)
    seen = np.array([_appearance(image, mask, border) for image in averages]).reshape(-1, 3)
    contrast, edge, whole = seen.T
    score = (size * resolution * contrast * edge * whole) ** (1 / 5)
    return ClassScores(size, resolution, contrast, edge, whole, score)


def _radius(box: int) -> DoubleArray:
    offset = np.arange(box) - box // 2
    return np.hypot(*np.meshgrid(offset, offset))


def _appearance(image: DoubleArray, mask: BoolArray, border: BoolArray) -> list[float]:
    """Contrast, border and wholeness of one average; zeros for one that is flat or not finite."""
    inside = image[mask]
    if not np.isfinite(inside).all() or np.ptp(inside) == 0:
        return [0.0, 0.0, 0.0]
    threshold = otsu_threshold(inside)
    above = mask & (image > threshold)
    pieces, count = ndimage.label(above)
    brightness = ndimage.sum(image - threshold, pieces, np.arange(1, count + 1))
    largest = pieces == 1 + int(np.argmax(brightness))
    surroundings = image[mask & ~ndimage.binary_fill_holes(above)]
    ramp = 0.0  # an object that encloses the whole mask stands out from nothing
    if surroundings.size:
        spread = max(float(surroundings.std()), np.finfo(np.float32).eps * float(np.ptp(inside)))
        contrast = (image[largest].mean() - surroundings.mean()) / spread
        ramp = (contrast - CONTRAST_NONE) / (CONTRAST_FULL - CONTRAST_NONE)
    return [
        float(np.clip(ramp, 0, 1)),
        float(np.clip(1 - image[border].std() / inside.std(), 0, 1)),
        float(brightness.max() / brightness.sum()),
    ]


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
