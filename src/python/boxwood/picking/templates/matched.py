"""Picking by the matched filter: the noise of a data set is learned, then every micrograph picked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from boxwood.backends import Backend, available_threads, get_backend
from boxwood.errors import InputError
from boxwood.imaging.fourier import centred_indices
from boxwood.picking.adaptive.calibration import Calibration, otsu
from boxwood.picking.adaptive.learn import LARGEST_RATE
from boxwood.picking.adaptive.maxima import Maxima, find_maxima, on_micrograph
from boxwood.picking.adaptive.model import DISTANCE, calibrated, within
from boxwood.picking.adaptive.noise import background_spectrum, synthetic_background
from boxwood.picking.adaptive.preparation import Prepared, prepare, prepare_clean
from boxwood.picking.log import checked_image
from boxwood.picking.templates.harmonics import HarmonicTemplates
from boxwood.picking.templates.picks import MatchedPicks
from boxwood.picking.templates.references import check_references
from boxwood.picking.templates.whitened import Scores, whitened_scores
from boxwood.typing import AnyArray, DoubleArray, FloatArray

_PIXELS_PER_DIAMETER = 20.0  # at least
_PIXELS_PER_RESOLUTION = 2.2
_MOST = 0.95  # of the integral of the mean profile
_MASK = 1.2  # diameters, where none is given
_BACKGROUNDS = (1, 2)  # synthetic micrographs, in each round


@dataclass(frozen=True)
class Learned:
    """What a data set tells about itself, once for all of its micrographs.

    Attributes
    ----------
    diameter_angstrom : float
        Of the particles, as the templates show them.
    pixels_per_diameter : float
        Of the grid.
    noise : (bins,) float64
        Power per pixel of the background between particles.
    calibration : Calibration
    """

    diameter_angstrom: float
    pixels_per_diameter: float
    noise: DoubleArray
    calibration: Calibration


@dataclass(frozen=True)
class MatchedModel(Learned):
    """Templates, and the noise of the micrographs that they are sought on.

    Attributes
    ----------
    templates : HarmonicTemplates
    white_particles : bool
    """

    templates: HarmonicTemplates
    white_particles: bool

    @property
    def particle_diameter_angstrom(self) -> float:
        """As `AdaptiveModel` has it: here the diameter is the particles' own."""
        return self.diameter_angstrom

    @classmethod
    def of(
        cls,
        learned: Learned,
        images: FloatArray,
        reference_pixel_size_angstrom: float,
        *,
        mask_diameter: float | None = None,
        lowpass: float = 20.0,
        angular_sampling: float = 5.0,
        inverted: bool = True,
        threads: int | None = None,
        backend: str = "cpu",
    ) -> "MatchedModel":
        """From what was learned with the same templates and settings, see `learn_matched`.

        Raises
        ------
        InputError
            As `check_references`; also if the particles of the templates have another diameter.
        """
        check_references(images)
        diameter = diameter_of(images, reference_pixel_size_angstrom)
        if not np.isclose(diameter, learned.diameter_angstrom, rtol=1e-3):
            raise InputError(
                f"the particles of the references are {diameter:.0f} Angstrom across, and those that the "
                f"noise was learned with {learned.diameter_angstrom:.0f}; give the "
                "same references, or learn anew"
            )
        templates = HarmonicTemplates.of(
            images,
            reference_pixel_size_angstrom,
            learned.diameter_angstrom / learned.pixels_per_diameter,
            mask_diameter=mask_diameter or _MASK * diameter,
            lowpass=lowpass,
            angular_sampling=angular_sampling,
            backend=get_backend(backend),
            threads=threads or available_threads(),
        )
        return cls(
            learned.diameter_angstrom,
            learned.pixels_per_diameter,
            learned.noise,
            learned.calibration,
            templates,
            not inverted,
        )

    def prepared(self, image: FloatArray, pixel_size: float, backend: Backend, threads: int) -> Prepared:
        """A micrograph on the grid of the templates."""
        return prepare(
            image,
            pixel_size,
            self.diameter_angstrom,
            self.pixels_per_diameter,
            white_particles=self.white_particles,
            backend=backend,
            threads=threads,
        )


def diameter_of(images: AnyArray, pixel_size_angstrom: float) -> float:
    """Diameter (Angstrom) of white particles on images (n, box, box): what holds most of their mean."""
    mean = np.asarray(images, np.float64).mean(axis=0)
    at = centred_indices(mean.shape[0])
    radius = np.hypot(at[:, None], at)
    whole = np.rint(radius).astype(np.int64)
    reach = mean.shape[0] // 2
    profile = np.bincount(whole.ravel(), mean.ravel())[:reach] / np.bincount(whole.ravel())[:reach]
    within_radius = np.cumsum(profile * np.arange(reach))
    if within_radius.max() <= 0:
        return 0.0
    return 2.0 * float(np.argmax(within_radius >= _MOST * within_radius.max())) * pixel_size_angstrom


def learn_matched(
    micrographs: Sequence[FloatArray],
    pixel_sizes_angstrom: Sequence[float],
    ctf_rows: Sequence[DoubleArray | None],
    images: FloatArray,
    reference_pixel_size_angstrom: float,
    *,
    mask_diameter: float | None = None,
    lowpass: float = 20.0,
    angular_sampling: float = 5.0,
    inverted: bool = True,
    seed: int = 0,
    threads: int | None = None,
    backend: str = "cpu",
    progress: Callable[[float], None] = lambda done: None,
) -> MatchedModel:
    """Measure the noise of a data set and what scores it gives.

    Parameters
    ----------
    micrographs : sequence of (ny, nx) float32
        A few of the data set.
    pixel_sizes_angstrom, ctf_rows : sequences
        Of each; None for no CTF.
    images : (n, box, box) float32
        Templates.
    reference_pixel_size_angstrom : float
    mask_diameter : float, optional
        Angstrom; 1.2 diameters of the particles by default.
    lowpass, angular_sampling : float
        Angstrom and degrees.
    inverted : bool
        Particles are white in the templates and dark in the micrographs; else alike in both.
    seed, threads, backend : int, int, str
    progress : callable
        Called with the part that is done.

    Raises
    ------
    InputError
        For micrographs or templates that cannot be used.
    """
    kernels, threads = get_backend(backend), threads or available_threads()
    check_references(images)
    diameter = diameter_of(images, reference_pixel_size_angstrom)
    if diameter <= 0:
        raise InputError(
            "no particle stands out white on the references; give averages of particles, without background"
        )
    per_diameter = max(
        _PIXELS_PER_DIAMETER, _PIXELS_PER_RESOLUTION * diameter / lowpass if lowpass > 0 else 0
    )
    finest = max(pixel_sizes_angstrom)
    per_diameter = min(per_diameter, diameter / finest)
    nothing = Learned(diameter, per_diameter, np.ones(2), Calibration(np.array([0.0]), np.array([1.0])))
    model = MatchedModel.of(
        nothing,
        images,
        reference_pixel_size_angstrom,
        mask_diameter=mask_diameter,
        lowpass=lowpass,
        angular_sampling=angular_sampling,
        inverted=inverted,
        threads=threads,
        backend=backend,
    )
    pairs = zip(micrographs, pixel_sizes_angstrom, strict=True)
    fields = [model.prepared(image, pixel, kernels, threads) for image, pixel in pairs]
    rng = np.random.default_rng(seed)
    steps, done = (1 + len(_BACKGROUNDS)) * len(fields) + sum(_BACKGROUNDS), 0

    def peaks_of(field: Prepared, noise: DoubleArray, row: DoubleArray | None) -> Maxima:
        nonlocal done
        scores = whitened_scores(field, model.templates, noise, row, kernels, threads)
        done += 1
        progress(done / steps)
        return _peaks(field, scores, DISTANCE * field.diameter_px)

    # At first as if the noise were white: in dense micrographs its spectrum is the particles', until they are
    # known and left out.
    found = [peaks_of(field, np.ones(2), row) for field, row in zip(fields, ctf_rows, strict=True)]
    scores = np.concatenate([p.score for p in found])
    if len(scores) < 2:
        raise InputError(
            f"the micrographs have hardly a place for particles of {diameter:.0f} A, so that nothing can be "
            "learned; give more of them, or larger ones"
        )
    threshold = otsu(scores)
    for count in _BACKGROUNDS:
        noise = background_spectrum(fields, [p.only(p.score >= threshold) for p in found])
        backgrounds = [
            prepare_clean(
                synthetic_background(noise, fields[0].shape, rng), fields[0].diameter_px, kernels, threads
            )
            for _ in range(count)
        ]
        found = [peaks_of(field, noise, row) for field, row in zip(fields, ctf_rows, strict=True)]
        null = [peaks_of(b, noise, ctf_rows[i % len(ctf_rows)]) for i, b in enumerate(backgrounds)]
        # Of the whole area: for what picks leave, the threshold is too low on real micrographs.
        calibration = calibrated(fields, found, backgrounds, null)
        threshold = calibration.threshold(LARGEST_RATE)
    return replace(model, noise=noise, calibration=calibration)


def pick_matched(
    micrograph: AnyArray,
    pixel_size_angstrom: float,
    model: MatchedModel,
    ctf_row: DoubleArray | None = None,
    *,
    max_local_fdr: float = LARGEST_RATE,
    min_distance: float | None = None,
    skip_side: int = 0,
    threads: int | None = None,
    backend: str = "cpu",
) -> MatchedPicks:
    """Find the templates of a model on a micrograph.

    Parameters
    ----------
    micrograph : (ny, nx) array of numbers
    pixel_size_angstrom : float
    model : MatchedModel
    ctf_row : (9,) float64, optional
        Columns of `Backend.ctf`.
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
    image = checked_image(micrograph)
    kernels, threads = get_backend(backend), threads or available_threads()
    field = model.prepared(image, pixel_size_angstrom, kernels, threads)
    scores = whitened_scores(field, model.templates, model.noise, ctf_row, kernels, threads)
    distance = DISTANCE * model.diameter_angstrom if min_distance is None else min_distance
    distance_px = distance / pixel_size_angstrom
    found = _peaks(field, scores, distance_px / float(field.scale.mean()))
    threshold = model.calibration.threshold(max_local_fdr)
    found = found.only(found.score >= threshold)
    x, y, chosen = on_micrograph(scores.best, found, field.scale, image.shape, skip_side, distance_px)
    at = found.y[chosen], found.x[chosen]
    values = found.score[chosen]
    return MatchedPicks(
        x=x[chosen],
        y=y[chosen],
        fom=values,
        template=scores.template[at].astype(np.int64),
        psi_deg=model.templates.psi_deg[scores.angle[at]],
        local_fdr=model.calibration.rate(values),
        reason="" if chosen.any() else f"no peak exceeds the threshold {threshold:.3g}",
    )


def _peaks(field: Prepared, scores: Scores, distance_px: float) -> Maxima:
    return find_maxima(scores.best, within(field), distance_px, -np.inf)
