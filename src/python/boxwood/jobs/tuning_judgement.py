"""How likely the places of candidates are particles: they are extracted, classified and scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.jobs.context import JobContext
from boxwood.jobs.defaults import MASK_PER_DIAMETER, classes_for
from boxwood.project.job_files import Kept

if TYPE_CHECKING:
    from boxwood.jobs.saved_iteration import SavedIteration
    from boxwood.picking.tuning import Particles, Peaks, Places
    from boxwood.typing import AnyArray, DoubleArray

# In diameters: places between particles are drawn to the next one, which must be within the box then.
BOX_DIAMETERS, BOX_PX, OFFSET_DIAMETERS = 1.9, 42, 0.3
# Particles are so many diameters from one another at least.
APART = 0.6
FEWEST_CLASSES, CLASSES, ITERATIONS = 4, 30, 20
DECOY = "boxwoodDecoy"
_LEAST = 1e-4  # of a score, where its odds are taken


@dataclass(frozen=True)
class Judged:
    """What classification says of places.

    Attributes
    ----------
    particles : mapping of micrograph to Particles
        Each once.
    saved : SavedIteration
    class_score : (K,) float64
    score : (n,) float64
        Of every place: the least of its own score, that of its class, and one less the false-discovery rate.
    diameter_angstrom : float
    """

    particles: dict[str, Particles]
    saved: SavedIteration
    class_score: DoubleArray
    score: DoubleArray
    diameter_angstrom: float


def judge(
    places: Mapping[str, Places | Peaks],
    decoys: Mapping[str, Places | Peaks],
    micrographs: Path,
    diameter: float,
    pixel_size: float,
    white: bool,
    ctf: bool,
    seed: int,
    folder: Path,
    context: JobContext,
) -> Judged:
    """Extract, classify and score.

    Parameters
    ----------
    places, decoys : mapping of micrograph to Places or Peaks
        Found on the micrographs, and in the same way on their negatives.
    micrographs : Path
        Their STAR file.
    diameter, pixel_size : float
        Of the particle and of the micrographs, Angstrom.
    folder : Path
        For the files.

    Notes
    -----
    Scores were fitted where most images are particles. Among mostly false ones, noise that makes a class of
    its own fits it well, but so do decoys, of which there are as many as places with nothing but noise. The
    local false-discovery rate at a score is the density of the decoys' scores over that of all (Efron, J. Am.
    Stat. Assoc. 99:96, 2004).
    """
    from boxwood.io.particles import ParticleSet
    from boxwood.jobs.extract_tables import columns, joined
    from boxwood.jobs.particle_cleaning import score_all
    from boxwood.jobs.particle_places import centres_angstrom
    from boxwood.jobs.saved_iteration import read_iteration
    from boxwood.picking.tuning import distinct

    box, rescaled, offset_range = sizes(diameter / pixel_size)
    parts = []
    for decoy, what in enumerate((places, decoys)):
        if not sum(map(len, what.values())):
            continue
        found = _run(
            "extract",
            "particles.star",
            folder / ("decoys" if decoy else "places"),
            context,
            micrographs=micrographs,
            coordinates=_write_places(what, pixel_size, folder / ("decoys" if decoy else "places"), context),
            box_size=box,
            rescale=rescaled,
            background_diameter=min(box, round(MASK_PER_DIAMETER * diameter / pixel_size)),
            invert_contrast=bool(decoy) == white,
        )
        particles = ParticleSet.read(found)
        parts.append(replace(particles, table=particles.table.assign(**{DECOY: decoy})))
    together = replace(parts[0], table=joined([columns(part.table) for part in parts]))
    together.write(folder / "particles.star", dialect=context.dialect)
    model = _run(
        "class2d",
        f"run_it{ITERATIONS:03d}_model.star",
        folder,
        context,
        particles=folder / "particles.star",
        classes=min(CLASSES, max(FEWEST_CLASSES, classes_for(len(together)))),
        iterations=ITERATIONS,
        mask_diameter=MASK_PER_DIAMETER * diameter,
        offset_range=offset_range,
        ctf=ctf,
        seed=seed,
    )
    saved = read_iteration(model)
    table = saved.particles.table
    class_score, number = saved.scores().score, table["rlnClassNumber"].to_numpy(np.int64)
    of_class = np.where(number > 0, class_score[np.maximum(number - 1, 0)], 0.0)
    score = np.zeros(len(table))  # as where no class shows anything
    if np.isfinite(saved.classes["rlnEstimatedResolution"].to_numpy(np.float64)).any():
        score = np.minimum(score_all(saved, class_score, context).score, of_class)
    decoy = table[DECOY].to_numpy(np.int64) == 1
    score = np.minimum(score, believed(score, decoy))
    x, y = centres_angstrom(saved.particles, pixel_size)
    name = np.where(decoy, "", table["rlnMicrographName"].to_numpy(str))
    apart = APART * diameter
    of = {n: distinct(x[name == n], y[name == n], score[name == n], apart) for n in places}
    return Judged(of, saved, class_score, score[~decoy], diameter)


def sizes(diameter_px: float) -> tuple[int, int, float]:
    """Box, box after scaling, and range of offsets there: of places of particles of so many pixels."""
    box = 2 * round(BOX_DIAMETERS * diameter_px / 2)
    rescaled = min(box, BOX_PX)  # images of few pixels stay as they are
    return box, rescaled, OFFSET_DIAMETERS * rescaled / BOX_DIAMETERS


def believed(score: DoubleArray, decoy: AnyArray) -> DoubleArray:
    """(n,) one less the local false-discovery rate of images with these scores, of which some are decoys."""
    from boxwood.picking.adaptive.calibration import calibrate

    odds = np.log((score + _LEAST) / (1 - score + _LEAST))
    if not decoy.any() or decoy.all() or odds[decoy].std() == 0:
        return np.ones(len(score))
    return 1 - calibrate(odds[~decoy], odds[decoy], 1.0).rate(odds)


def _write_places(
    places: Mapping[str, Places | Peaks], pixel_size: float, folder: Path, context: JobContext
) -> Path:
    """Write coordinates and their list, for extraction."""
    from boxwood.io.coordinates import write_coordinate_list, write_coordinates

    folder.mkdir(parents=True, exist_ok=True)
    listed = {}
    for number, (name, found) in enumerate(places.items(), 1):
        if len(found):
            listed[name] = folder / f"{number:03d}_{Path(name).stem}.star"
            write_coordinates(listed[name], coordinates(found, pixel_size), dialect=context.dialect)
    write_coordinate_list(folder / "places.star", listed)
    return folder / "places.star"


def coordinates(places: Places | Peaks, pixel_size: float) -> pd.DataFrame:
    """Pixels of the micrograph."""
    return pd.DataFrame({"rlnCoordinateX": places.x / pixel_size, "rlnCoordinateY": places.y / pixel_size})


def _run(job: str, file: str, folder: Path, context: JobContext, **options: object) -> Path:
    """Run a job below this one, or take over what an earlier run of it has finished; where its `file` is."""
    place = folder / job
    made = place / file
    kept = Kept.read(place) if context.continuing else None
    if kept is not None and kept.succeeded and made.is_file():
        context.log(f"{job}: done already in {place.as_posix()}/")
        return made
    begun = kept is not None and (job != "class2d" or any(place.glob("run_it*_optimiser.star")))
    context.run(job, folder=place, continue_from=begun, **options)
    return made
