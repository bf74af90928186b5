"""Particles of other programs, with their images, CTF, 2D alignments and places, become RELION's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import InputError, JobError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.import_coordinates import FOM, Placer, X, Y, refuse_binning
from boxwood.jobs.exchange.import_options import ImportOptions
from boxwood.jobs.exchange.stack_files import bring_stacks, changed, find_stacks, is_dark, renamed, roots
from boxwood.jobs.job import JobResult

if TYPE_CHECKING:
    from boxwood.io.exchange.picks import ForeignParticles
    from boxwood.io.particle_images import ParticleImages
    from boxwood.typing import IntArray

IMAGE, MICROGRAPH, GROUP = "rlnImageName", "rlnMicrographName", "rlnOpticsGroup"
GALLERY = 100


def import_particles(files: list[Path], kind: str, options: ImportOptions, context: JobContext) -> JobResult:
    """Write particles.star, and below the job's folder stacks of the images or links to them."""
    if len(files) != 1:
        raise InputError(f"{len(files)} files of particles were given; import them one at a time")
    foreign = _read(files[0], kind, options)
    for name in foreign.left_out:
        context.warn(f"{name} is not carried over")
    stacks = find_stacks(foreign.particles.table[IMAGE], roots(options))
    foreign, images = _readable(foreign, stacks, context)
    groups = foreign.particles.table[GROUP].to_numpy()
    boxes = dict(zip(groups.tolist(), images.boxes.tolist(), strict=True))
    invert = is_dark(images, options.contrast, context)
    table = _placed(foreign, options, context)
    if options.flip_y:
        from boxwood.io.exchange.mirror import turned_over_poses

        table = turned_over_poses(table)
    pixels = replace(foreign.particles, table=table).pixel_sizes()
    size_of = {str(n).rpartition("@")[2]: float(size) for n, size in zip(table[IMAGE], pixels, strict=True)}
    used = {file: stacks[file] for file in size_of}
    context.reserve(used)
    targets = {file: context.output_path(file, ".mrcs") for file in used}
    bring_stacks(
        used,
        targets,
        size_of,
        context,
        invert=invert,
        turn_over=options.flip_y,
        float32=context.dialect == "3.1",
    )
    table[IMAGE] = renamed(table[IMAGE], {f: path.as_posix() for f, path in targets.items()})
    optics = _optics(foreign.particles.optics, table, boxes, context)
    made = {"particles": context.output / "particles.star"}
    replace(foreign.particles, optics=optics, table=table).write(made["particles"], dialect=context.dialect)
    with context.picture("particles.png"):
        _draw(context.output / "particles.png", images, invert, options.flip_y)
        made["gallery"] = context.output / "particles.png"
    return JobResult(
        files=made,
        tables={"particles": table, "optics": optics},
        values={"particles": len(table), "inverted": invert},
        summary=f"{len(table)} particles imported" + (", their contrast inverted" if invert else ""),
    )


def _read(path: Path, kind: str, options: ImportOptions) -> ForeignParticles:
    from boxwood.io.exchange import cistem, cryosparc, cryosparc_particles
    from boxwood.io.exchange.picks import ForeignParticles
    from boxwood.io.particles import ParticleSet

    if kind == "cryosparc":
        found = cryosparc_particles.particles_of(cryosparc.read_dataset(path, options.passthrough))
    elif kind == "cistem":
        found = cistem.read_cistem_particles(path, str(options.stack or ""))
    elif kind == "star":
        found = ForeignParticles(ParticleSet.read(path))
    else:
        raise InputError(f"{path} is in the format {kind}, which has no particles; import its coordinates")
    if options.min_score is None:
        return found
    if FOM not in found.particles.table:
        raise InputError(f"{path} has no scores; leave out min_score")
    return _select(found, np.flatnonzero(found.particles.table[FOM] >= options.min_score))


def _select(found: ForeignParticles, rows: IntArray) -> ForeignParticles:
    sizes = [found.sizes[row] for row in rows] if found.sizes else []
    return replace(found, particles=found.particles.select(rows), sizes=sizes)


def _readable(
    foreign: ForeignParticles, stacks: Mapping[str, Path], context: JobContext
) -> tuple[ForeignParticles, ParticleImages]:
    """The particles whose images can be read, and a reader of these."""
    from boxwood.io.particle_images import ParticleImages

    def reader(found: ForeignParticles) -> ParticleImages:
        paths = {file: str(path.absolute()) for file, path in stacks.items()}
        table = found.particles.table
        return ParticleImages(renamed(table[IMAGE], paths), "", table[GROUP].to_numpy() - 1)

    images = reader(foreign)
    for name, reason in images.bad.items():
        context.bad(name, reason)
    if not images.usable.any():
        raise JobError("none of the particles' images can be read; look at the warnings")
    if images.usable.all():
        return foreign, images
    foreign = _select(foreign, np.flatnonzero(images.usable))
    return foreign, reader(foreign)


def _placed(foreign: ForeignParticles, options: ImportOptions, context: JobContext) -> pd.DataFrame:
    """The table with the project's names of micrographs, and coordinates that count in their pixels."""
    table = foreign.particles.table.copy()
    if MICROGRAPH not in table:
        return table
    if options.micrographs is None:
        return _unplaced(foreign, table, options, context)
    place = Placer(options)
    refuse_binning(bool(foreign.sizes or foreign.unit_angstrom), options.files[0], options)
    names = {name: place.names.find(name) for name in table[MICROGRAPH].unique()}
    lost = [name for name, own in names.items() if own is None]
    if len(lost) == len(names):
        raise InputError(
            f"none of the {len(lost)} micrographs of the particles is in {options.micrographs}, for example "
            f"{lost[0]}; see --strip-prefix and --strip-suffix"
        )
    for name in lost:
        context.bad(name, f"it is not among the micrographs of {options.micrographs}")
    keep = np.flatnonzero(table[MICROGRAPH].map(names).notna())
    parts = []
    for foreign_name, rows in table.iloc[keep].groupby(MICROGRAPH, sort=False):
        own = str(names[str(foreign_name)])
        part = rows.assign(**{MICROGRAPH: own})
        if X in table:
            shape = place.shape(own)
            size = foreign.sizes[int(rows.index[0])] if foreign.sizes else None
            factors = place.factors(own, shape, size, foreign.unit_angstrom, foreign.particles.source)
            part = place.moved(part, factors, shape[0])
        parts.append(part)
    return pd.concat(parts).sort_index().reset_index(drop=True)


def _unplaced(
    foreign: ForeignParticles, table: pd.DataFrame, options: ImportOptions, context: JobContext
) -> pd.DataFrame:
    """The table without the project's micrographs: coordinates count in the other program's."""
    if X not in table:
        return table
    if foreign.unit_angstrom is not None:
        context.warn("coordinates are in Angstrom and left out; give --micrographs to have them in pixels")
        return table.drop(columns=[X, Y])
    if options.flip_y or options.binning or options.coordinate_pixel_size:
        raise InputError("coordinates can be changed only for known micrographs; give --micrographs")
    if foreign.sizes and (1.0, 1.0) in foreign.sizes:
        context.warn("coordinates are fractions and left out; give --micrographs to have them in pixels")
        return table.drop(columns=[X, Y])
    return table


def _optics(
    optics: pd.DataFrame, table: pd.DataFrame, boxes: Mapping[int, int], context: JobContext
) -> pd.DataFrame:
    """Optics groups that have particles, with the sizes of their images."""
    used = optics[optics[GROUP].isin(table[GROUP])].reset_index(drop=True)
    used = used.assign(rlnImageSize=[boxes[int(group)] for group in used[GROUP]], rlnImageDimensionality=2)
    missing = [n for n in ("rlnVoltage", "rlnSphericalAberration", "rlnAmplitudeContrast") if n not in used]
    if missing or "rlnDefocusU" not in table:
        context.warn("the particles have no complete CTF, so that they can be classified without it only")
    if context.dialect != "3.1" and "rlnCtfDataAreCtfPremultiplied" not in used:
        used["rlnCtfDataAreCtfPremultiplied"] = 0
    return used


def _draw(path: Path, images: ParticleImages, invert: bool, turn_over: bool) -> None:
    from boxwood.report.particles import draw_particles

    rows = np.flatnonzero(images.boxes == images.box)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), GALLERY)).astype(int)]
    shown = changed(images.read(rows), invert, turn_over)
    draw_particles(path, shown, shown.mean(axis=0), len(rows))
