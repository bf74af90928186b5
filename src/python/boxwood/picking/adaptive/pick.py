"""Pick a micrograph with a model."""

from dataclasses import dataclass

import numpy as np

from boxwood.backends import available_threads, get_backend
from boxwood.picking.adaptive.learn import LARGEST_RATE
from boxwood.picking.adaptive.maxima import find_maxima, on_micrograph
from boxwood.picking.adaptive.model import DISTANCE, AdaptiveModel, within
from boxwood.picking.adaptive.preparation import prepare
from boxwood.picking.log import checked_image
from boxwood.typing import AnyArray, DoubleArray, FloatArray


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


@dataclass(frozen=True)
class ScoreMap:
    """How like a particle each place of a micrograph is, from which it is picked with any settings.

    Attributes
    ----------
    model : AdaptiveModel
    score : (ny, nx) float32
        Log-likelihood ratio, on the grid of the model.
    allowed : (ny, nx) bool
        Where a pick may lie.
    scale : (2,) float64
        Micrograph pixels per grid pixel, along y and x.
    shape : tuple of int
        ny, nx of the micrograph.
    pixel_size_angstrom : float
        Of the micrograph.
    masked : float
        Part of the micrograph on which nothing was sought.
    """

    model: AdaptiveModel
    score: FloatArray
    allowed: AnyArray
    scale: DoubleArray
    shape: tuple[int, ...]
    pixel_size_angstrom: float
    masked: float

    @property
    def nbytes(self) -> int:
        return self.score.nbytes + self.allowed.nbytes

    def picks(
        self, max_local_fdr: float = LARGEST_RATE, min_distance: float | None = None, skip_side: int = 0
    ) -> AdaptivePicks:
        """Pick; see `pick_adaptive` for the settings.

        A peak clears its surroundings of lesser ones alone, so the picks of any `max_local_fdr` are those of
        1 whose own rate is not above it.
        """
        model = self.model
        distance = DISTANCE * model.diameter_angstrom if min_distance is None else min_distance
        distance_px = distance / self.pixel_size_angstrom
        found = find_maxima(self.score, self.allowed, distance_px / float(self.scale.mean()), -np.inf)
        threshold = model.calibration.threshold(max_local_fdr)
        found = found.only((found.score >= threshold) & (found.score <= model.highest))
        x, y, chosen = on_micrograph(self.score, found, self.scale, self.shape, skip_side, distance_px)
        values = found.score[chosen]
        return AdaptivePicks(
            x[chosen],
            y[chosen],
            values,
            model.calibration.rate(values),
            self.masked,
            "" if chosen.any() else f"no peak exceeds the threshold {threshold:.3g}",
        )


def score_micrograph(
    micrograph: AnyArray,
    pixel_size_angstrom: float,
    model: AdaptiveModel,
    *,
    threads: int | None = None,
    backend: str = "cpu",
) -> ScoreMap:
    """Score a micrograph, (ny, nx), with a model; errors are those of `pick_adaptive`."""
    image = checked_image(micrograph)
    kernels, threads = get_backend(backend), threads or available_threads()
    field = prepare(
        image,
        pixel_size_angstrom,
        model.diameter_angstrom,
        model.pixels_per_diameter,
        white_particles=model.white_particles,
        backend=kernels,
        threads=threads,
    )
    return ScoreMap(
        model,
        model.score(field, kernels, threads),
        within(field),
        field.scale,
        image.shape,
        pixel_size_angstrom,
        float(1 - field.mask.mean(dtype=np.float64)),
    )


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
    scored = score_micrograph(micrograph, pixel_size_angstrom, model, threads=threads, backend=backend)
    return scored.picks(max_local_fdr, min_distance, skip_side)
