"""How likely the places of candidates are particles: they are extracted, classified and scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from boxwood.jobs.context import JobContext
from boxwood.jobs.defaults import MASK_PER_DIAMETER, classes_for
from boxwood.project.job_files import Kept

if TYPE_CHECKING:
    from boxwood.jobs.saved_iteration import SavedIteration
    from boxwood.picking.tuning import Particles
    from boxwood.typing import DoubleArray

# In diameters: places between particles are drawn to the next one, which must be within the box then.
BOX_DIAMETERS, BOX_PX, OFFSET_DIAMETERS = 1.9, 42, 0.3
CLASSES, ITERATIONS = 30, 20
_FILES = {"extract": "particles.star", "class2d": f"run_it{ITERATIONS:03d}_model.star"}


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
        Of every image.
    diameter_angstrom : float
    """

    particles: dict[str, Particles]
    saved: SavedIteration
    class_score: DoubleArray
    score: DoubleArray
    diameter_angstrom: float


def judge(
    places: dict[str, pd.DataFrame],
    micrographs: Path,
    diameter: float,
    pixel_size: float,
    white: bool,
    ctf: bool,
    apart: float,
    seed: int,
    folder: Path,
    context: JobContext,
) -> Judged:
    """Extract, classify and score.

    Parameters
    ----------
    places : mapping of micrograph to table of coordinates
    micrographs : Path
        Their STAR file.
    diameter, pixel_size : float
        Of the particle and of the micrographs, Angstrom.
    apart : float
        Angstrom; of places that are nearer once they are centred, one may be a particle.
    folder : Path
        For the files.
    """
    from boxwood.io.coordinates import write_coordinate_list, write_coordinates
    from boxwood.jobs.particle_cleaning import score_all
    from boxwood.jobs.particle_places import centres_angstrom
    from boxwood.jobs.saved_iteration import read_iteration
    from boxwood.picking.tuning import distinct

    listed = {}
    for number, (name, table) in enumerate(places.items(), 1):
        if len(table):
            listed[name] = folder / f"{number:03d}_{Path(name).stem}.star"
            listed[name].parent.mkdir(parents=True, exist_ok=True)
            write_coordinates(listed[name], table, dialect=context.dialect)
    write_coordinate_list(folder / "places.star", listed)
    box = 2 * round(BOX_DIAMETERS * diameter / pixel_size / 2)
    particles = _run(
        "extract",
        folder,
        context,
        micrographs=micrographs,
        coordinates=folder / "places.star",
        box_size=box,
        rescale=min(box, BOX_PX),
        background_diameter=min(box, round(MASK_PER_DIAMETER * diameter / pixel_size)),
        invert_contrast=not white,
    )
    model = _run(
        "class2d",
        folder,
        context,
        particles=particles,
        classes=min(CLASSES, classes_for(sum(map(len, places.values())))),
        iterations=ITERATIONS,
        mask_diameter=MASK_PER_DIAMETER * diameter,
        offset_range=OFFSET_DIAMETERS * BOX_PX / BOX_DIAMETERS,
        ctf=ctf,
        seed=seed,
    )
    saved = read_iteration(model)
    class_score = saved.scores().score
    score = score_all(saved, class_score, context).score
    x, y = centres_angstrom(saved.particles, pixel_size)
    name = saved.particles.table["rlnMicrographName"].to_numpy(str)
    found = {n: distinct(x[name == n], y[name == n], score[name == n], apart) for n in places}
    return Judged(found, saved, class_score, score, diameter)


def _run(job: str, folder: Path, context: JobContext, **options: object) -> Path:
    """Run a job below this one, or take over what an earlier run of it has finished; its main file."""
    place = folder / job
    made = place / _FILES[job]
    kept = Kept.read(place) if context.continuing else None
    if kept is not None and kept.succeeded and made.is_file():
        context.log(f"{job}: done already in {place.as_posix()}/")
        return made
    begun = kept is not None and (job != "class2d" or any(place.glob("run_it*_optimiser.star")))
    context.run(job, folder=place, continue_from=begun, **options)
    return made
