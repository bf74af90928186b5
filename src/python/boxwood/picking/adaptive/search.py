"""Which diameter the particles of a data set have, and what they look like on average."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from boxwood.backends import Backend
from boxwood.errors import InputError
from boxwood.picking.adaptive.calibration import otsu
from boxwood.picking.adaptive.maxima import Maxima, find_maxima
from boxwood.picking.adaptive.model import DISTANCE, within
from boxwood.picking.adaptive.noise import background_spectrum, synthetic_background
from boxwood.picking.adaptive.preparation import Prepared, prepare, prepare_clean
from boxwood.picking.adaptive.radial import (
    RadialFilter,
    centre_is_bright,
    measure_profile,
    particle_diameter,
)
from boxwood.typing import AnyArray, DoubleArray, FloatArray

BELOW, ABOVE = 0.7, 1.45  # of the range that is given: where the search begins and ends
STEP = 1.2  # from one diameter to the next
SMALLEST, LARGEST = 60.0, 400.0  # Angstrom, where no range is given ...
COARSE_PIXEL, COARSE = 4.0, (12.0, 60.0)  # ... but pixels, where these are as large
PIXELS_PER_DIAMETER = 14
_FALSE = 0.1  # share of the background above the threshold
_FEWEST = 8  # peaks that a threshold can be made of


@dataclass(frozen=True)
class Start:
    """Where learning begins.

    Attributes
    ----------
    diameter_angstrom : float
        Of the trial that explains most.
    particle_angstrom : float
        Where the particles end, measured there.
    profile : (radii,) float64
        At radii 0, 1, 2, ... of `PIXELS_PER_DIAMETER` to a diameter.
    explained : float
        See `RadialFit`.
    """

    diameter_angstrom: float
    particle_angstrom: float
    profile: DoubleArray
    pixels_per_diameter: float
    explained: float

    @property
    def diameter(self) -> float:
        """The diameter to go on with: particles have soft ends, so not much smaller than the trial's."""
        return max(self.particle_angstrom, 0.8 * self.diameter_angstrom)


def trial_diameters(
    smallest: float | None, largest: float | None, pixel_size: float, shortest_side: float
) -> DoubleArray:
    """Diameters to try, Angstrom; `shortest_side` of the micrographs, Angstrom."""
    if smallest is not None and largest is not None:
        low, high = BELOW * smallest, ABOVE * largest
    elif pixel_size >= COARSE_PIXEL:
        low, high = COARSE[0] * pixel_size, COARSE[1] * pixel_size
    else:
        low, high = SMALLEST, LARGEST
    high = min(high, shortest_side / 2.5)
    if low >= high:
        raise InputError(
            f"micrographs of {shortest_side:.0f} A are too small for particles of {low:.0f} A; "
            "check the pixel size and the diameters"
        )
    count = max(2, int(np.ceil(np.log(high / low) / np.log(STEP))) + 1)
    return np.geomspace(low, high, count)


def search_start(
    images: Sequence[FloatArray],
    pixel_sizes: Sequence[float],
    diameters: DoubleArray,
    *,
    white_particles: bool,
    backend: Backend,
    threads: int,
    progress: Callable[[float], None] = lambda done: None,
) -> Start | None:
    """Try every diameter; the one whose mean particle explains most of the micrographs wins.

    A filter of a wrong size locks to the gaps between particles, or to a part of them, and explains hardly
    anything; what is bright instead of dark, or has another size than the trial by its own measure, does not
    count.
    """
    best, coarsest = None, max(pixel_sizes)
    for i, diameter in enumerate(diameters):
        micrographs = [
            prepare(
                image,
                pixel_size,
                float(diameter),
                min(PIXELS_PER_DIAMETER, float(diameter) / coarsest),
                white_particles=white_particles,
                backend=backend,
                threads=threads,
            )
            for image, pixel_size in zip(images, pixel_sizes, strict=True)
        ]
        trial = learn_radial(micrographs, None, 5, backend, threads)
        progress((i + 1) / len(diameters))
        if trial is None:
            continue
        size = micrographs[0].diameter_px
        measured = particle_diameter(trial.profile)
        if not (centre_is_bright(trial.profile, size) and 0.6 < measured / size < 1.7):
            continue
        if best is None or trial.explained > best.explained:
            best = Start(
                float(diameter), measured / size * float(diameter), trial.profile, size, trial.explained
            )
    return best


@dataclass(frozen=True)
class RadialFit:
    """A profile that reproduces itself: the mean of the picks it gives.

    Attributes
    ----------
    profile : (radii,) float64
    picks : list of Maxima
        Above the threshold, per micrograph.
    explained : float
        Mean square of what the picks' projections explain of the micrographs, over the square of the robust
        standard deviation of a pixel, and over how much the picks crowd. Over the whole variance instead,
        which particles raise, several subunits seem to explain as much as the particle they make up; and so
        they do where particles are sparse and their parts together are counted more than once.
    """

    profile: DoubleArray
    picks: list[Maxima]
    explained: float


def learn_radial(
    micrographs: Sequence[Prepared],
    profile: DoubleArray | None,
    rounds: int,
    backend: Backend,
    threads: int,
) -> RadialFit | None:
    """Pick with a profile, average the picks, and again; it begins with a Laplacian of Gaussian.

    Returns None where there are too few peaks for a threshold.
    """
    size = micrographs[0].diameter_px
    if profile is None:
        profile = laplacian(size)
    for i in range(rounds + 1):
        filters = RadialFilter.of(profile, size)
        maps = [filters.response(m, backend, threads) for m in micrographs]
        peaks = [
            find_maxima(c, within(m), DISTANCE * size, 0.0) for c, m in zip(maps, micrographs, strict=True)
        ]
        scores = np.concatenate([p.score for p in peaks])
        if len(scores) < _FEWEST:
            return None
        threshold = otsu(scores)
        if i < rounds:
            profile = measure_profile(micrographs, [p.only(p.score >= threshold) for p in peaks])
    chosen = [p.only(p.score >= threshold) for p in peaks]
    threshold = max(threshold, _background_threshold(micrographs, chosen, scores, filters, backend, threads))
    chosen = [p.only(p.score >= threshold) for p in peaks]
    energy = sum(
        float(((p.score * m.deviation[p.y, p.x]) ** 2).sum())
        for p, m in zip(chosen, micrographs, strict=True)
    )
    pixels = sum(m.image.size for m in micrographs)
    return RadialFit(profile, chosen, energy / pixels / crowding(chosen, micrographs))


def crowding(picks: Sequence[Maxima], micrographs: Sequence[Prepared]) -> float:
    """How many times more pairs of picks are within two diameters than if they lay anywhere; at least 1.

    Particles keep their distance; what is picked of a part of them comes in groups, as many as it has parts.
    """
    pairs = expected = float(_FEWEST)  # so that a few picks say little
    for found, micrograph in zip(picks, micrographs, strict=True):
        d, n = micrograph.diameter_px, len(found)
        tree = cKDTree(np.column_stack([found.y, found.x]))
        pairs += (tree.count_neighbors(tree, 2 * d) - n) / 2  # without each with itself, and once
        area = max(1, int(within(micrograph).sum()))
        expected += n * (n - 1) / 2 * np.pi * d * d * (4 - DISTANCE**2) / area
    return max(1.0, pairs / expected)


def laplacian(diameter_px: float) -> DoubleArray:
    """Profile of the negative Laplacian of a Gaussian that answers most to a disc of this diameter."""
    r2 = (np.arange(int(diameter_px) + 2) / (0.5 * diameter_px)) ** 2
    return (1 - r2) * np.exp(-r2)


def _background_threshold(
    micrographs: Sequence[Prepared],
    picks: Sequence[Maxima],
    scores: DoubleArray,
    filters: RadialFilter,
    backend: Backend,
    threads: int,
) -> float:
    """Lowest threshold above which few of the peaks are such as the background has by itself."""
    shape = micrographs[0].shape
    spectrum = background_spectrum(micrographs, picks)
    noise = synthetic_background(spectrum, shape, np.random.default_rng(0))
    background = prepare_clean(noise, micrographs[0].diameter_px, backend, threads)
    response = filters.response(background, backend, threads)
    null = np.sort(find_maxima(response, within(background), DISTANCE * background.diameter_px, 0.0).score)
    area = sum(int(within(m).sum()) for m in micrographs) / max(1, int(within(background).sum()))
    ordered = np.sort(scores)[::-1]
    false = area * (len(null) - np.searchsorted(null, ordered, side="left"))
    good: AnyArray = np.flatnonzero(false <= _FALSE * np.arange(1, len(ordered) + 1))
    return float(ordered[good[-1]]) if len(good) else np.inf
