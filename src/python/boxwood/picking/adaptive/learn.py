"""One pass over a few micrographs of a data set, after which all of them can be picked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from boxwood.backends import Backend, available_threads, get_backend
from boxwood.picking.adaptive.calibration import has_mode
from boxwood.picking.adaptive.filters import SAMPLES, Bank
from boxwood.picking.adaptive.harmonics import fit_components
from boxwood.picking.adaptive.maxima import Maxima
from boxwood.picking.adaptive.model import AdaptiveModel, calibrated
from boxwood.picking.adaptive.noise import background_spectrum, synthetic_background
from boxwood.picking.adaptive.preparation import Prepared, prepare, prepare_clean
from boxwood.picking.adaptive.radial import measure_profile, particle_diameter
from boxwood.picking.adaptive.search import (
    Start,
    crowding,
    learn_radial,
    search_start,
    trial_diameters,
)
from boxwood.typing import DoubleArray, FloatArray

PIXELS_PER_DIAMETER = 20
SEARCHED = 4  # micrographs of those that are learned from on which diameters are tried
COMPONENTS = (6, 10, 10, 10, 10)  # at most, in each round
LARGEST_RATE = 0.5  # local false-discovery rate up to which a peak is a pick
_BACKGROUNDS = 4  # synthetic micrographs
# Picks that crowd so much may be parts of particles. Then those so many times larger are tried, and taken if
# they explain so much of what the parts do.
_CROWDED, _LARGER, _AS_GOOD = 2.0, 1.25, 0.7
_WIDER = 1.03  # from here on the grid is made anew for particles larger than expected
_STRONGEST, _TOO_HIGH = 0.9, 6.0  # quantile of the roots of the scores, and robust standard deviations above


def learn_model(
    micrographs: Sequence[FloatArray],
    pixel_sizes_angstrom: Sequence[float],
    *,
    min_diameter: float | None = None,
    max_diameter: float | None = None,
    white_particles: bool = False,
    seed: int = 0,
    threads: int | None = None,
    backend: str = "cpu",
    progress: Callable[[float], None] = lambda done: None,
) -> AdaptiveModel | None:
    """Learn what the particles of a data set look like.

    Parameters
    ----------
    micrographs : sequence of (ny, nx) float32
        Half a dozen, spread over the data set.
    pixel_sizes_angstrom : sequence of float
    min_diameter, max_diameter : float, optional
        Of the particles, Angstrom, give or take; both or none.
    white_particles : bool
    seed : int
    threads, backend : int, str
    progress : callable
        Called with the part that is done.

    Returns
    -------
    AdaptiveModel or None
        None where nothing like a particle was found.

    Raises
    ------
    InputError
        For micrographs that cannot be used.
    """
    coarsest = max(pixel_sizes_angstrom)
    shortest = min(
        min(image.shape) * size for image, size in zip(micrographs, pixel_sizes_angstrom, strict=True)
    )
    tried = trial_diameters(min_diameter, max_diameter, coarsest, shortest)
    learner = _Learner(
        micrographs,
        pixel_sizes_angstrom,
        (min_diameter, max_diameter),
        white_particles,
        seed,
        get_backend(backend),
        threads or available_threads(),
    )
    if min_diameter is not None:
        found = learner.learn(tried, progress)
        return None if found is None else found.model
    found = learner.learn(tried, lambda done: progress(0.6 * done))
    if found is not None and found.crowding > _CROWDED:
        larger = tried[tried > _LARGER * found.model.diameter_angstrom]
        whole = learner.learn(larger, lambda done: progress(0.6 + 0.4 * done)) if len(larger) else None
        if whole is not None and whole.replaces(found):
            found = whole
    progress(1.0)
    return None if found is None else found.model


@dataclass(frozen=True)
class _Learned:
    """A model; how much its start explained (`RadialFit`), and how its picks crowd (`crowding`)."""

    model: AdaptiveModel
    explained: float
    crowding: float

    def replaces(self, parts: "_Learned") -> bool:
        """Whether this is of the particles that those are parts of."""
        as_good = self.explained > _AS_GOOD * parts.explained
        return self.crowding < _CROWDED and as_good and self.model.convincing >= parts.model.convincing


@dataclass(frozen=True)
class _Learner:
    """Learns from micrographs, with the diameters that are to be tried."""

    micrographs: Sequence[FloatArray]
    pixel_sizes: Sequence[float]
    limits: tuple[float | None, float | None]
    white_particles: bool
    seed: int
    kernels: Backend
    threads: int

    def learn(self, diameters: DoubleArray, progress: Callable[[float], None]) -> _Learned | None:
        start = search_start(
            self.micrographs[:SEARCHED],
            self.pixel_sizes[:SEARCHED],
            diameters,
            white_particles=self.white_particles,
            backend=self.kernels,
            threads=self.threads,
            progress=lambda done: progress(0.6 * done),
        )
        if start is None:
            return None
        diameter = within_range(start.diameter, start.particle_angstrom, *self.limits)
        fields = self._fields(diameter)
        profile = _rescaled(start, diameter, fields[0].diameter_px)
        fit = learn_radial(fields, profile, 4, self.kernels, self.threads)
        if fit is None:
            return None
        measured = particle_diameter(fit.profile) / fields[0].diameter_px * diameter
        wider = within_range(max(diameter, measured), measured, *self.limits)
        if wider > _WIDER * diameter:  # the coarse grid of the search has underestimated them
            profile = _stretched(fit.profile, diameter / wider)
            diameter, fields = wider, self._fields(wider)
            fit = learn_radial(fields, profile, 2, self.kernels, self.threads)
            if fit is None:
                return None
        rng = np.random.default_rng(self.seed)
        found = refine(
            fields,
            diameter,
            fit.picks,
            self.white_particles,
            rng,
            self.kernels,
            self.threads,
            lambda d: progress(0.6 + 0.4 * d),
        )
        return None if found is None else _Learned(found[0], start.explained, crowding(found[1], fields))

    def _fields(self, diameter: float) -> list[Prepared]:
        coarsest = max(self.pixel_sizes)
        return [
            prepare(
                image,
                pixel_size,
                diameter,
                min(PIXELS_PER_DIAMETER, diameter / coarsest),  # one grid for all
                white_particles=self.white_particles,
                backend=self.kernels,
                threads=self.threads,
            )
            for image, pixel_size in zip(self.micrographs, self.pixel_sizes, strict=True)
        ]


def _rescaled(start: Start, diameter: float, size_px: float) -> DoubleArray:
    """The profile of the search on the grid of another diameter."""
    return _stretched(start.profile, size_px / diameter * start.diameter_angstrom / start.pixels_per_diameter)


def _stretched(profile: DoubleArray, factor: float) -> DoubleArray:
    """A profile whose radii are `factor` times as many pixels."""
    at = np.arange(int(np.ceil(len(profile) * factor))) / factor
    return np.interp(at, np.arange(len(profile)), profile)


def within_range(diameter: float, particle: float, smallest: float | None, largest: float | None) -> float:
    """The diameter found, kept to the range that was given, give or take what the particles say."""
    if smallest is None or largest is None:
        return diameter
    return float(np.clip(diameter, smallest, 1.25 * largest if particle > largest else largest))


def refine(
    fields: Sequence[Prepared],
    diameter: float,
    picks: Sequence[Maxima],
    white_particles: bool,
    rng: np.random.Generator,
    kernels: Backend,
    threads: int,
    progress: Callable[[float], None],
) -> tuple[AdaptiveModel, Sequence[Maxima]] | None:
    """From the picks of the radial mean to a calibrated model, on the grid of the diameter, and its picks."""
    size, model = fields[0].diameter_px, None
    for i, most in enumerate(COMPONENTS):
        spectrum = background_spectrum(fields, picks)
        backgrounds = [
            prepare_clean(synthetic_background(spectrum, fields[0].shape, rng), size, kernels, threads)
            for _ in range(_BACKGROUNDS)
        ]
        if not sum(map(len, picks)):
            return None
        model = _fit(fields, picks, backgrounds, most, diameter, white_particles, rng, kernels, threads)
        peaks = [model.peaks(m, model.score(m, kernels, threads)) for m in fields]
        null = [model.peaks(m, model.score(m, kernels, threads)) for m in backgrounds]
        calibration = calibrated(fields, peaks, backgrounds, null, LARGEST_RATE)
        scores, threshold = np.concatenate([p.score for p in peaks]), calibration.threshold(LARGEST_RATE)
        picks = [p.only(p.score >= threshold) for p in peaks]
        model = replace(
            model,
            calibration=calibration,
            highest=_highest(scores[scores >= threshold]),
            convincing=has_mode(scores, calibrated(fields, peaks, backgrounds, null)),
        )
        progress((i + 1) / len(COMPONENTS))
    return None if model is None else (model, picks)


def _fit(
    fields: Sequence[Prepared],
    picks: Sequence[Maxima],
    backgrounds: Sequence[Prepared],
    most: int,
    diameter: float,
    white_particles: bool,
    rng: np.random.Generator,
    kernels: Backend,
    threads: int,
) -> AdaptiveModel:
    """Filters from picks, and the distributions of their responses; not calibrated yet."""
    profile = measure_profile(fields, picks)
    components = tuple(fit_components(fields, picks, backgrounds, most, rng))
    size = fields[0].diameter_px
    model = AdaptiveModel(
        diameter_angstrom=diameter,
        pixels_per_diameter=size,
        particle_diameter_angstrom=particle_diameter(profile) / size * diameter,
        white_particles=white_particles,
        profile=profile,
        mean=1.0,
        variance=1.0,
        noise=1.0,
        components=components,
        energies=np.ones(len(components)),
    )
    at_picks, in_noise = [], []
    for field, found in zip(fields, picks, strict=True):
        at_picks.append(model.radial.response(field, kernels, threads)[found.y, found.x])
    edge = min(int(size), min(backgrounds[0].shape) // 4)
    inner = (slice(edge, -edge), slice(edge, -edge))
    for background in backgrounds:
        response = model.radial.response(background, kernels, threads)[inner]
        in_noise.append(float(np.mean(response.astype(np.float64) ** 2)))
    noise = float(np.mean(in_noise))
    values = np.concatenate(at_picks).astype(np.float64)
    middle = float(np.median(values))
    spread = float((1.4826 * np.median(np.abs(values - middle))) ** 2)
    return replace(
        model,
        mean=middle,
        variance=max(spread, noise),
        noise=noise,
        energies=_energies(model.harmonic, backgrounds),
    )


def _energies(bank: Bank, backgrounds: Sequence[Prepared]) -> DoubleArray:
    """Mean power of the background's response to each filter, by Parseval's theorem.

    Synthetic background is periodic, and stationary but for its local deviation.
    """
    power = np.zeros(SAMPLES)
    for background in backgrounds:
        ny, nx = background.shape
        squares = np.abs(np.fft.fft2(background.image)) ** 2 / (ny * nx) ** 2
        radius = np.hypot(np.fft.fftfreq(ny)[:, None], np.fft.fftfreq(nx))
        nearest = np.rint(radius / np.sqrt(0.5) * (SAMPLES - 1)).astype(np.int64)
        power += np.bincount(nearest.ravel(), squares.ravel(), SAMPLES) * np.mean(background.deviation**-2.0)
    return bank.tables.astype(np.float64) ** 2 @ power / max(1, len(backgrounds))


def _highest(scores: DoubleArray) -> float:
    """A score that no particle like the picked ones has, the strongest of several views included."""
    if not len(scores):
        return np.inf
    roots = np.sqrt(np.maximum(scores, 0))
    spread = 1.4826 * float(np.median(np.abs(roots - np.median(roots))))
    return float((np.quantile(roots, _STRONGEST) + _TOO_HIGH * max(spread, 0.7)) ** 2)
