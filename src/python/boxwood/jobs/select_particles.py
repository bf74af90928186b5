"""Choose particles: by hand, metadata or image statistics, without duplicates, or all of them in parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.subsets import (
    BETWEEN,
    SELECT_FIELDS,
    SPLIT,
    exactly_one,
    part_nodes,
    split_rows,
    write_parts,
    write_rows,
)
from boxwood.options import Options, option
from boxwood.options.joboptions import Switched

if TYPE_CHECKING:
    from boxwood.io.particles import ParticleSet
    from boxwood.typing import DoubleArray

    BoolArray = npt.NDArray[np.bool_]

BATCH = 1000
WAYS = ("auto", "selection", "where", "discard_sigma", "split", "remove_duplicates")


@dataclass(frozen=True, kw_only=True)
class SelectParticlesOptions(Options):
    particles: Path = option(
        "particles STAR file", group="I/O", input="particles", joboption="fn_data", flag="--i"
    )
    selection: Path | None = option(
        "keep the particles that this STAR file says are selected: rlnSelected, 1 or 0, for each of them; "
        "marking bad particles on the page writes one",
        None,
        group="I/O",
    )
    auto: bool = option(
        "keep the particles of a 2D classification (run_itNNN_data.star) whose score, a probability to be a "
        "particle from 0 to 1, is high enough, and of those that were picked twice the better ones",
        False,
        group="Cleaning",
    )
    min_score: float = option(
        "smallest score that --auto keeps", 0.5, group="Cleaning", at_least=0, at_most=1, needs="auto"
    )
    distance: float | None = option(
        "of particles that are nearer than this once they are centred, --auto keeps the best; a quarter of "
        "the mask's diameter if not given",
        None,
        unit="Å",
        group="Cleaning",
        at_least=0,
        needs="auto",
    )
    where: str | None = option(
        "keep the particles for which this holds, for example 'rlnAutopickFigureOfMerit > 0.3'",
        None,
        group="Subsets",
        joboption=BETWEEN,
        flag="--select --minval --maxval",
    )
    discard_sigma: float | None = option(
        "drop particles whose mean or standard deviation is farther than this from the average of all, "
        "in standard deviations",
        None,
        group="Subsets",
        above=0,
        joboption=Switched("do_discard", {"discard_sigma": "4"}),
        flag="--discard_sigma",
    )
    split: int | None = option(
        "keep all particles, in so many files of equal size",
        None,
        group="Subsets",
        at_least=1,
        joboption=SPLIT,
        flag="--nr_split",
    )
    random_order: bool = option(
        "deal the particles of --split out at random",
        False,
        group="Subsets",
        joboption="do_random",
        needs="split",
    )
    seed: int = option(
        "seed of the random numbers",
        1,
        group="Subsets",
        at_least=0,
        flag="--random_seed",
        needs="split",
    )
    remove_duplicates: float | None = option(
        "of two particles at this distance or nearer drop the one that comes first",
        None,
        unit="Å",
        group="Duplicates",
        at_least=0,
        joboption=Switched("do_remove_duplicates", {"duplicate_threshold": "30"}),
        flag="--remove_duplicates",
    )
    micrograph_pixel_size: float | None = option(
        "pixel size of the micrographs that the coordinates count in; as in the STAR file if not given",
        None,
        unit="Å",
        group="Duplicates",
        above=0,
        joboption="image_angpix",
        flag="--image_angpix",
        needs="remove_duplicates or auto",
    )

    def validate(self) -> None:
        exactly_one("Particles", **{way: getattr(self, way) for way in WAYS})


def run(options: SelectParticlesOptions, context: JobContext) -> JobResult:
    """Write particles.star (and what was removed or selected), or particles_split1.star, 2, ... ."""
    from boxwood.io.particles import ParticleSet
    from boxwood.io.selection import read_selection
    from boxwood.io.where import rows_where

    way = exactly_one("Particles", **{way: getattr(options, way) for way in WAYS})
    if way == "auto":
        return _clean(options, context)
    particles = ParticleSet.read(options.particles)
    if way == "split":
        seed = options.seed if options.random_order else None
        parts = split_rows(len(particles.table), options.split or 0, seed)
        return write_parts(particles, parts, context, "particles")
    if way == "selection":
        keep = read_selection(options.selection or "", len(particles))
    elif way == "where":
        keep = rows_where(particles.table, options.where or "")
    elif way == "discard_sigma":
        keep = _ordinary(particles, options.discard_sigma or 0.0, context)
    else:
        keep = _single(particles, options)
    return _write_kept(particles, keep, way, context)


def _clean(options: SelectParticlesOptions, context: JobContext) -> JobResult:
    """Write particles.star, particles_removed.star, and particle_scores.star, which says why."""
    from boxwood.io.star import write_star
    from boxwood.jobs.particle_cleaning import clean, iteration_of

    saved = iteration_of(options.particles)
    context.use([saved.model_file, saved.averages_file])
    table = clean(saved, options.distance, options.min_score, options.micrograph_pixel_size, context)
    keep = (table["removed"] == "").to_numpy()
    reasons = table["removed"][~keep].value_counts()
    result = _write_kept(saved.particles, keep, "auto", context)
    context.log(f"{keep.sum()} of {len(keep)} particles stay")
    for reason, count in reasons.items():
        context.log(f"{count:7d} removed: {reason}")
    told = table.drop(columns="removed").replace([np.inf, -np.inf], np.nan).fillna(-1.0)
    told = told.rename(columns=lambda name: "bw" + "".join(word.capitalize() for word in name.split("_")))
    told.insert(0, "rlnImageName", saved.particles.table["rlnImageName"].to_numpy())
    told.insert(1, "rlnSelected", keep.astype(int))
    told["bwReason"] = table["removed"].replace("", "none").to_numpy()
    result.files["particle_scores"] = context.output / "particle_scores.star"
    write_star(result.files["particle_scores"], {"boxwood_scores": told}, dialect=context.dialect)
    result.tables.update(particle_scores=table)
    result.values.update({f"removed: {reason}": int(count) for reason, count in reasons.items()})
    return result


def within_sigma(values: DoubleArray, sigma: float) -> BoolArray:
    """Which `values` (n, m) lie within `sigma` standard deviations of their column's mean, in all columns."""
    spread = values.std(axis=0)
    return (np.abs(values - values.mean(axis=0)) <= sigma * spread).all(axis=1)


def _ordinary(particles: ParticleSet, sigma: float, context: JobContext) -> BoolArray:
    """Particles whose image has an ordinary mean and standard deviation; unreadable images are left out."""
    images = particles.images()
    for name, reason in images.bad.items():
        context.bad(name, reason)
    usable = np.flatnonzero(images.usable)
    statistics = np.full((len(particles), 2), np.nan)

    def measure(start: int) -> None:
        rows = usable[start : start + BATCH]
        pixels = images.read(rows).reshape(len(rows), -1).astype(np.float64)
        statistics[rows] = np.column_stack([pixels.mean(axis=1), pixels.std(axis=1)])

    for _ in context.map(measure, range(0, len(usable), BATCH), what="batch"):
        pass
    keep = np.isfinite(statistics).all(axis=1)
    keep[keep] = within_sigma(statistics[keep], sigma)
    return keep


def _single(particles: ParticleSet, options: SelectParticlesOptions) -> BoolArray:
    from boxwood.jobs.particle_places import centres_angstrom
    from boxwood.picking.duplicates import without_duplicates

    x, y = centres_angstrom(particles, options.micrograph_pixel_size)
    micrographs = particles.table["rlnMicrographName"].to_numpy(str)
    return without_duplicates(x, y, micrographs, options.remove_duplicates or 0)


def _write_kept(particles: ParticleSet, keep: BoolArray, way: str, context: JobContext) -> JobResult:
    from boxwood.io.selection import write_selection

    total, count = len(keep), int(keep.sum())
    if not count:
        flag = way.replace("_", "-")
        raise InputError(f"No particle of the {total} is left by --{flag}; nothing was written.")
    files = {"particles": context.output / "particles.star"}
    chosen = write_rows(particles, np.flatnonzero(keep), files["particles"], context)
    tables = {"particles": chosen.table}
    if way == "selection":
        files["backup_selection"] = context.output / "backup_selection.star"
        write_selection(files["backup_selection"], keep, dialect=context.dialect)
    if way in ("remove_duplicates", "auto"):
        files["removed"] = context.output / "particles_removed.star"
        removed = particles.select(~keep)
        removed.write(files["removed"], dialect=context.dialect)
        tables["removed"] = removed.table
    return JobResult(
        files=files,
        tables=tables,
        values={"particles": count, "removed": total - count},
        summary=f"{count} of {total} particles selected",
    )


def _label(options: SelectParticlesOptions) -> str:
    kinds = {
        "selection": "interactive",
        "split": "split",
        "discard_sigma": "discard",
        "remove_duplicates": "removeduplicates",
    }
    kind = next((kind for name, kind in kinds.items() if getattr(options, name)), "onvalue")
    return f"relion.select.{kind}"


def _makes(options: SelectParticlesOptions, dialect: str) -> dict[str, str]:
    return part_nodes("particles", options.split) if options.split else {"particles.star": "particles"}


JOB = Job(
    name="select-particles",
    folder="Select",
    options=SelectParticlesOptions,
    run=run,
    process=7,
    label=_label,
    joboptions=SELECT_FIELDS,
    makes=_makes,
)
