"""Clean the particles of a 2D classification: what `boxwood select-particles --auto` does."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.saved_iteration import SavedIteration, read_iteration

if TYPE_CHECKING:
    from boxwood.class2d.particle_measures import ParticleMeasures
    from boxwood.class2d.particle_score import ParticleScores
    from boxwood.io.class2d_model import SavedModel
    from boxwood.typing import AnyArray, DoubleArray, IntArray

BATCH = 256
# Part of the mask's diameter that two particles are apart at least.
NEAREST = 0.25
TWICE = "picked twice"
_CTF_FLAGS = ("CtfDataArePhaseFlipped", "DoIgnoreCtfUntilFirstPeak")


def iteration_of(data: Path) -> SavedIteration:
    """The iteration that a run_itNNN_data.star belongs to."""
    stem, _, kind = data.stem.rpartition("_")
    model = data.with_name(f"{stem}_model.star")
    if kind != "data" or not model.is_file():
        raise InputError(
            f"{data} is not the run_itNNN_data.star of a 2D classification, with its model and averages "
            "beside it; --auto judges particles by these."
        )
    return read_iteration(model)


def clean(
    saved: SavedIteration,
    distance: float | None,
    min_score: float,
    micrograph_pixel_size: float | None,
    context: JobContext,
) -> pd.DataFrame:
    """Judge all particles of an iteration.

    Parameters
    ----------
    saved : SavedIteration
    distance : float or None
        Å; of particles that are nearer once they are centred the best stays. By default NEAREST diameters.
    min_score : float
    micrograph_pixel_size : float or None
        Å; what coordinates count in, if not what the optics table says.

    Returns
    -------
    DataFrame
        A row per particle: `score`, `class_score`, the features of the score, `nearest` (Å, to the next
        particle; inf if there is none), and `removed`, why it goes, or nothing if it stays.
    """
    from boxwood.picking.duplicates import best_of_duplicates

    class_score = saved.scores().score
    numbers = saved.particles.table["rlnClassNumber"].to_numpy(np.int64)
    scores = score_all(saved, class_score, context)
    low = scores.score < min_score
    reason = np.where(low, scores.worst(), "")
    table = scores.features.assign(
        score=scores.score, class_score=np.where(numbers > 0, class_score[np.maximum(numbers - 1, 0)], 0.0)
    )
    places = _places(saved, micrograph_pixel_size)
    if places is None:
        context.warn("particles have no coordinates, so that none can be found that was picked twice")
        return table.assign(nearest=np.inf, removed=reason)
    x, y, micrograph = places
    diameter = saved.mask_diameter_angstrom or saved.averages.shape[-1] * float(saved.general["rlnPixelSize"])
    apart = NEAREST * diameter if distance is None else distance
    better = best_of_duplicates(x, y, micrograph, apart, scores.score)
    reason = np.where((better >= 0) & ~low, TWICE, reason)
    return table.assign(nearest=_nearest(x, y, micrograph), removed=reason)


def score_all(saved: SavedIteration, class_score: DoubleArray, context: JobContext) -> ParticleScores:
    """The probability that each image of an iteration is a particle."""
    from boxwood.class2d.particle_score import score_particles

    table = saved.particles.table
    name = next((n for n in ("rlnMicrographName", "rlnGroupNumber") if n in table), None)
    micrograph = np.zeros(len(table)) if name is None else table[name].to_numpy()
    index = table["rlnClassNumber"].to_numpy(np.int64) - 1
    return score_particles(measure(saved, context), index, class_score, micrograph)


def measure(saved: SavedIteration, context: JobContext) -> ParticleMeasures:
    """Compare every particle with its class average; what cannot be read or was not used is nan.

    Images of other pixels or boxes than the averages' are brought to theirs.
    """
    from boxwood.backends import get_backend
    from boxwood.class2d.particle_measures import ParticleComparison, ParticleMeasures, Poses
    from boxwood.imaging.regrid import regridded
    from boxwood.io.class2d_data import read_assignments
    from boxwood.io.class2d_model import read_model
    from boxwood.io.particles import ctf_rows

    particles, model = saved.particles, read_model(saved.model_file)
    images = particles.images(groups=particles.table["rlnOpticsGroup"].to_numpy())
    given = read_assignments(particles.table)
    for name, reason in images.bad.items():
        context.bad(name, reason)
    box, pixel, pixels = model.averages.shape[-1], model.pixel_size_angstrom, particles.pixel_sizes()
    flags = saved.optimiser
    ctf = ctf_rows(particles) if flags.get("rlnDoCorrectCtf", 1) else None
    flipped, intact = (int(flags.get(f"rln{name}", 0)) for name in _CTF_FLAGS)
    mask, ctf_mode = saved.mask_diameter_angstrom or box * pixel, flipped + 2 * intact
    compare = ParticleComparison(model.averages, pixel, mask, _size(model), get_backend("cpu"), ctf_mode)
    poses = Poses(given.class_number - 1, given.psi_deg, given.origin_angstrom / pixel)
    noise = _noise(model, particles.table)
    factor = model.norm_average / np.where(given.norm > 0, given.norm, 1.0)
    usable = np.flatnonzero(images.usable & (given.class_number > 0))
    found = ParticleMeasures.none(len(particles))
    _, group = np.unique(np.column_stack([images.boxes, pixels])[usable], axis=0, return_inverse=True)
    parts: list[IntArray] = []
    for i in range(group.max(initial=-1) + 1):
        alike = usable[group.ravel() == i]
        parts += [alike[start : start + BATCH] for start in range(0, len(alike), BATCH)]

    def one(number: int) -> None:
        rows = parts[number]
        pictures, own = images.read(rows), float(pixels[rows[0]])
        if pictures.shape[-1] != box or not np.isclose(own, pixel, rtol=1e-4):
            pictures = regridded(pictures, own, box, pixel)
        some = None if ctf is None else ctf[rows]
        part = compare(pictures, factor[rows], poses[rows], some, model.noise[noise[rows]])
        for field in fields(part):
            getattr(found, field.name)[rows] = getattr(part, field.name)

    for _ in context.map(one, range(len(parts)), what="part"):
        pass
    return found


def _size(model: SavedModel) -> int:
    """Edge of the square of coefficients: to the resolution that a quarter of the classes reach."""
    box = model.averages.shape[-1]
    resolved = model.resolution_angstrom[np.isfinite(model.resolution_angstrom)]
    if not len(resolved):
        raise InputError("No class has a resolution yet; give a later iteration of the classification.")
    ring = int(np.ceil(box * model.pixel_size_angstrom / np.percentile(resolved, 25)))
    return min(2 * ring + 2, box - box % 2)


def _noise(model: SavedModel, table: pd.DataFrame) -> IntArray:
    """Which of the model's noise spectra each particle has."""
    name = "rlnGroupNumber" if model.noise_of_groups else "rlnOpticsGroup"
    if name not in table or len(model.noise) == 1:
        return np.zeros(len(table), np.int64)
    return np.clip(table[name].to_numpy(np.int64) - 1, 0, len(model.noise) - 1)


def _places(
    saved: SavedIteration, pixel_size: float | None
) -> tuple[DoubleArray, DoubleArray, AnyArray] | None:
    """Centres of the particles in Å, offsets applied, and their micrographs; None if they are not known."""
    from boxwood.jobs.particle_places import centres_angstrom

    table = saved.particles.table
    if any(name not in table for name in ("rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY")):
        return None
    x, y = centres_angstrom(saved.particles, pixel_size)
    return x, y, table["rlnMicrographName"].to_numpy(str)


def _nearest(x: DoubleArray, y: DoubleArray, micrograph: AnyArray) -> DoubleArray:
    from scipy.spatial import cKDTree

    out = np.full(len(x), np.inf)
    _, group = np.unique(micrograph, return_inverse=True)
    for one in range(group.max(initial=-1) + 1):
        mine = np.flatnonzero(group == one)
        if len(mine) > 1:
            points = np.column_stack([x[mine], y[mine]])
            out[mine] = cKDTree(points).query(points, k=2)[0][:, 1]
    return out
