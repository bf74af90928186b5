"""What a learning pass finds out about a data set, and all that picking needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import ndimage

from boxwood.backends import Backend
from boxwood.picking.adaptive.calibration import Calibration, calibrate
from boxwood.picking.adaptive.filters import Bank, bank, join
from boxwood.picking.adaptive.harmonics import REACH, Component
from boxwood.picking.adaptive.maxima import Maxima, find_maxima
from boxwood.picking.adaptive.noise import beyond
from boxwood.picking.adaptive.preparation import Prepared
from boxwood.picking.adaptive.radial import RadialFilter
from boxwood.typing import AnyArray, DoubleArray, FloatArray

DISTANCE = 0.75  # diameters between picks, at least
BORDER = 0.1  # diameters from the edge to the nearest pick
BLUR = 0.1  # diameters: how far from its centre a particle shows
TEMPER = 8.0  # the score's components are not as independent as its sum supposes
_LARGEST_EXPONENT = 80.0  # of a float32
_LEAST_INSIDE = 0.5  # of a particle's disc, on the clean area
_AREAS = 2  # times that the area which particles leave is measured


@dataclass(frozen=True)
class AdaptiveModel:
    """Filters learned from a data set, and the meaning of their score.

    Attributes
    ----------
    diameter_angstrom : float
        That sets the grid, the windows and the distance between picks.
    pixels_per_diameter : float
        Of the grid.
    particle_diameter_angstrom : float
        Where the bright part of the mean particle ends.
    white_particles : bool
    profile : (radii,) float64
        Radial mean of the particles at 0, 1, 2, ... grid pixels, in standard deviations of a pixel.
    mean, variance, noise : float
        Of the projection on the profile: mean and variance at particles, variance in the background.
    components : tuple of Component
    energies : (components,) float64
        Mean squared response of the background to each.
    calibration : Calibration
    highest : float
        Scores above are not particles'.
    convincing : bool
        Whether scores cluster as those of particles do.
    """

    diameter_angstrom: float
    pixels_per_diameter: float
    particle_diameter_angstrom: float
    white_particles: bool
    profile: DoubleArray
    mean: float
    variance: float
    noise: float
    components: tuple[Component, ...] = ()
    energies: DoubleArray = field(default_factory=lambda: np.zeros(0))
    calibration: Calibration = field(default_factory=lambda: Calibration(np.zeros(1), np.ones(1)))
    highest: float = np.inf
    convincing: bool = False

    @property
    def grid_angstrom(self) -> float:
        """Pixel size of the grid."""
        return self.diameter_angstrom / self.pixels_per_diameter

    @cached_property
    def radial(self) -> RadialFilter:
        return RadialFilter.of(self.profile, self.pixels_per_diameter)

    @cached_property
    def harmonic(self) -> Bank:
        """The components, weighted by what the power of each adds to the score."""
        gain = np.array([c.ratio / (1 + c.ratio) for c in self.components])
        return bank(
            [c.profile for c in self.components],
            [c.order for c in self.components],
            gain / self.energies,
            REACH * self.pixels_per_diameter,
        )

    def score(self, micrograph: Prepared, backend: Backend, threads: int = 1) -> FloatArray:
        """Log-likelihood ratio of a particle at each pixel to none, in local units of the noise.

        A particle's projection c on the profile is normal about `mean`, that of the background about 0; a
        particle's coefficient of a component has 1 + ratio times the variance of the background's. The
        score is the sum of the logarithms of the ratios of these densities; below c = 0 it falls on along its
        tangent, since particles do not become likelier as they turn bright. Likelihoods, tempered, are
        averaged over `BLUR`: a component responds on a ring about the centre as much as on it.
        """
        filters = join(self.radial.on_image, self.harmonic) if self.components else self.radial.on_image
        (projection, mean), power = filters.apply(micrograph.image, backend, threads)
        c = self.radial.normalised(
            projection, mean, self.radial.cut(micrograph, backend, threads), micrograph.deviation
        )
        sharp = self.linear_score(c) + self.power_score(power / micrograph.deviation**2)
        likelihood = np.exp(np.minimum(sharp / TEMPER, _LARGEST_EXPONENT))
        likelihood = ndimage.gaussian_filter(
            likelihood, BLUR * micrograph.diameter_px, mode="nearest", truncate=3
        )
        return TEMPER * np.log(np.maximum(likelihood, np.finfo(np.float32).tiny))

    def linear_score(self, c: AnyArray) -> AnyArray:
        """What the projection on the profile adds to the score."""
        dark = np.maximum(c, 0)
        ratio = dark**2 / self.noise - (dark - self.mean) ** 2 / self.variance
        return (
            0.5 * (ratio - np.log(self.variance / self.noise)) + np.minimum(c, 0) * self.mean / self.variance
        )

    def power_score(self, power: AnyArray) -> AnyArray:
        """What the weighted power of the components adds to it."""
        return power - sum(np.log1p(c.ratio) for c in self.components)

    def peaks(self, micrograph: Prepared, score: AnyArray, distance_px: float | None = None) -> Maxima:
        """Peaks of the score where a particle would be within the micrograph and the clean area."""
        return find_maxima(
            score,
            within(micrograph),
            DISTANCE * micrograph.diameter_px if distance_px is None else distance_px,
            -np.inf,
        )


def within(micrograph: Prepared) -> AnyArray:
    """(ny, nx) bool: where a pick may lie."""
    allowed = micrograph.inside >= _LEAST_INSIDE
    border = int(np.ceil(BORDER * micrograph.diameter_px))
    frame = np.zeros_like(allowed)
    frame[border : allowed.shape[0] - border, border : allowed.shape[1] - border] = True
    return allowed & frame


def calibrated(
    micrographs: Sequence[Prepared],
    peaks: Sequence[Maxima],
    backgrounds: Sequence[Prepared],
    null: Sequence[Maxima],
    largest_rate: float | None = None,
) -> Calibration:
    """Compare the peaks of micrographs with those of synthetic backgrounds.

    The background has no peaks nearer than `DISTANCE` to a particle, so what is expected of it is what the
    area beyond has. Particles are the peaks up to `largest_rate`, of the whole area at first, and then of
    what that leaves; without `largest_rate` of the whole area alone.
    """
    scores, others = (np.concatenate([p.score for p in found]) for found in (peaks, null))
    allowed = [within(m) for m in micrographs]
    known = sum(int(within(m).sum()) for m in backgrounds)
    calibration = calibrate(scores, others, sum(int(a.sum()) for a in allowed) / known)
    if largest_rate is None:
        return calibration
    for _ in range(_AREAS):
        threshold, free = calibration.threshold(largest_rate), 0
        for m, found, area in zip(micrographs, peaks, allowed, strict=True):
            particles = found.only(found.score >= threshold)
            free += int((area & beyond(m, particles, DISTANCE * m.diameter_px)).sum())
        calibration = calibrate(scores, others, free / known)
    return calibration
