"""Pick a micrograph with a model."""

from dataclasses import dataclass

import numpy as np

from boxwood.backends import available_threads, get_backend
from boxwood.errors import InputError
from boxwood.picking.adaptive.learn import LARGEST_RATE
from boxwood.picking.adaptive.maxima import between_pixels
from boxwood.picking.adaptive.model import DISTANCE, AdaptiveModel
from boxwood.picking.adaptive.preparation import prepare
from boxwood.typing import AnyArray, DoubleArray


@dataclass(frozen=True)
class AdaptivePicks:
    """Particles found on one micrograph, best first.

    Attributes
    ----------
    x, y : (n,) float64
        Micrograph pixels; 0 is the centre of the first pixel.
    score : (n,) float64
        Log-likelihood ratio, in natural units.
    local_fdr : (n,) float64
        The share of background among peaks of that score.
    masked : float
        Part of the micrograph on which nothing was sought.
    reason : str
        Why there are no picks; empty if there are.
    """

    x: DoubleArray
    y: DoubleArray
    score: DoubleArray
    local_fdr: DoubleArray
    masked: float
    reason: str = ""

    def __len__(self) -> int:
        return len(self.x)


def pick_adaptive(
    micrograph: AnyArray,
    pixel_size_angstrom: float,
    model: AdaptiveModel,
    *,
    max_local_fdr: float = LARGEST_RATE,
    min_distance: float | None = None,
    skip_side: int = 0,
    threads: int | None = None,
    backend: str = "cpu",
) -> AdaptivePicks:
    """Find the particles of a model on a micrograph.

    Parameters
    ----------
    micrograph : (ny, nx) array of numbers
    pixel_size_angstrom : float
    model : AdaptiveModel
        From `learn_model`, on this micrograph or others of the data set.
    max_local_fdr : float
        Picks are peaks with at most this share of background among their like.
    min_distance : float, optional
        Between picks, Angstrom; 0.75 diameters by default.
    skip_side : int
        Pixels along the edge without picks, at least a tenth of the diameter.
    threads, backend : int, str

    Raises
    ------
    InputError
        For an image that is not two-dimensional, is constant or has pixels that are not finite.
    """
    image = np.asarray(micrograph)
    if image.ndim != 2 or image.dtype.kind not in "fiub":
        raise InputError(
            f"the micrograph is an array of shape {image.shape} and type {image.dtype}, expected a "
            "two-dimensional image of real numbers"
        )
    kernels, threads = get_backend(backend), threads or available_threads()
    field = prepare(
        np.ascontiguousarray(image, np.float32),
        pixel_size_angstrom,
        model.diameter_angstrom,
        model.pixels_per_diameter,
        white_particles=model.white_particles,
        backend=kernels,
        threads=threads,
    )
    score = model.score(field, kernels, threads)
    distance = DISTANCE * model.diameter_angstrom if min_distance is None else min_distance
    found = model.peaks(field, score, distance / pixel_size_angstrom / float(field.scale.mean()))
    threshold = model.calibration.threshold(max_local_fdr)
    found = found.only((found.score >= threshold) & (found.score <= model.highest))
    y, x = between_pixels(score, found.y, found.x)
    y, x = y * field.scale[0], x * field.scale[1]
    inside = (np.minimum(x, image.shape[1] - 1 - x) >= skip_side) & (
        np.minimum(y, image.shape[0] - 1 - y) >= skip_side
    )
    masked = float(1 - field.mask.mean(dtype=np.float64))
    values = found.score[inside]
    return AdaptivePicks(
        x[inside],
        y[inside],
        values,
        model.calibration.rate(values),
        masked,
        "" if inside.any() else f"no peak exceeds the threshold {threshold:.3g}",
    )
