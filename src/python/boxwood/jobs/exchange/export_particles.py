"""Particles and class averages of a project as cisTEM and cryoSPARC have them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import InputError, JobError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.export_coordinates import MICROGRAPH, X, Y, exposures, fractions, micrographs_of
from boxwood.jobs.exchange.export_options import ExportOptions
from boxwood.jobs.exchange.stack_files import BATCH, bring_stacks, changed, find_stacks, renamed
from boxwood.jobs.job import JobResult
from boxwood.project.names import below_job

if TYPE_CHECKING:
    from boxwood.io.exchange.cryosparc_write import Exposure
    from boxwood.io.particle_images import ParticleImages
    from boxwood.io.particles import ParticleSet

IMAGE = "rlnImageName"


def export_particles(options: ExportOptions, context: JobContext) -> JobResult:
    """Write the table of particles, and links to their stacks or, for cisTEM, one stack of all."""
    from boxwood.imaging.frames import turned_over
    from boxwood.io.exchange.mirror import turned_over_poses

    particles, images = _readable(options, context)
    table = particles.table
    located = all(label in table for label in (X, Y, MICROGRAPH))
    if options.flip_y:
        if located and options.to == "cryosparc":  # cisTEM's file does not have places
            micrographs = micrographs_of(particles, options.micrographs)
            heights = {n: micrographs.shape(str(n))[0] for n in table[MICROGRAPH].unique()}
            table = table.assign(**{Y: turned_over(table[Y], table[MICROGRAPH].map(heights).to_numpy())})
        table = turned_over_poses(table)
    particles = replace(particles, table=table)
    if options.to == "cistem":
        made = _for_cistem(particles, images, options)
    else:
        made = _for_cryosparc(particles, images, located, options, context)
    return JobResult(
        files=made,
        values={"particles": len(table)},
        summary=f"{len(table)} particles written for {options.to}",
    )


def _readable(options: ExportOptions, context: JobContext) -> tuple[ParticleSet, ParticleImages]:
    from boxwood.io.particles import ParticleSet

    assert options.particles is not None
    particles = ParticleSet.read(options.particles)
    images = particles.images()
    for name, reason in images.bad.items():
        context.bad(name, reason)
    if not images.usable.any():
        raise JobError("none of the particles' images can be read; look at the warnings")
    if images.usable.all():
        return particles, images
    particles = particles.select(np.flatnonzero(images.usable))
    return particles, particles.images()


def _for_cistem(particles: ParticleSet, images: ParticleImages, options: ExportOptions) -> dict[str, Path]:
    from boxwood.io.exchange.cistem import write_cistem_particles
    from boxwood.io.mrc import StackWriter

    sizes = np.unique(images.boxes)
    pixels = particles.pixel_sizes()
    if len(sizes) > 1 or np.ptp(pixels) > 1e-3 * pixels[0]:
        raise InputError("cisTEM has one stack of images of one size and pixel size; export groups apart")
    made = {"particles": options.directory / "particles.star", "stack": options.directory / "particles.mrc"}
    with StackWriter(made["stack"], float(pixels[0])) as writer:
        for first in range(0, len(particles), BATCH):
            batch = images.read(slice(first, first + BATCH))
            writer.append(changed(batch, False, options.flip_y))
    write_cistem_particles(made["particles"], particles, made["stack"].name)
    return made


def _for_cryosparc(
    particles: ParticleSet,
    images: ParticleImages,
    located: bool,
    options: ExportOptions,
    context: JobContext,
) -> dict[str, Path]:
    from boxwood.io.exchange import cryosparc, cryosparc_write

    seen: dict[str, Exposure] = {}
    boxes, parts = images.boxes, None
    if located:
        micrographs = micrographs_of(particles, options.micrographs)
        names = [str(name) for name in particles.table[MICROGRAPH].unique()]
        seen = exposures(names, micrographs, options, context)
        keep = np.flatnonzero(particles.table[MICROGRAPH].astype(str).isin(seen))
        particles, boxes = particles.select(keep), boxes[keep]
        parts = fractions(particles.table, micrographs)
    paths = _stacks_below(particles, options, context)
    fields = cryosparc_write.particle_fields(particles, boxes, paths, seen, parts)
    path = options.directory / "particles.cs"
    cryosparc.write_dataset(path, fields)
    results = {name.split("/")[0] for name in fields if "/" in name}
    cryosparc.write_result_group(path.with_suffix(".csg"), path.name, "particle", results, len(particles))
    return {"particles": path, "group": path.with_suffix(".csg")}


def _stacks_below(particles: ParticleSet, options: ExportOptions, context: JobContext) -> dict[str, str]:
    """Make links to the stacks, or turned-over copies, below the folder; what the dataset calls each."""
    names = particles.table[IMAGE].astype(str).str.rpartition("@")[2]
    pixels = dict(zip(names, particles.pixel_sizes().tolist(), strict=True))
    root = particles.root()
    targets = {file: options.directory / "stacks" / below_job(file).with_suffix(".mrc") for file in pixels}
    if len(set(targets.values())) < len(targets):  # stacks of several jobs
        targets = {file: options.directory / "stacks" / below(file).with_suffix(".mrc") for file in pixels}
    bring_stacks({file: root / file for file in pixels}, targets, pixels, context, turn_over=options.flip_y)
    return {file: f">{path.relative_to(options.directory)}" for file, path in targets.items()}


def below(file: str) -> Path:
    """A file's name without what would lead out of a folder."""
    return Path(*(part for part in Path(file).parts if part not in ("..", Path(file).anchor)))


def export_averages(options: ExportOptions, context: JobContext) -> JobResult:
    """Write a stack of class averages, and for cryoSPARC the dataset that names them."""
    from boxwood.io.exchange import cryosparc, cryosparc_write
    from boxwood.io.mrc import read_stack, write_stack
    from boxwood.io.particle_images import ParticleImages

    assert options.class_averages is not None
    names, root = _reference_images(options.class_averages)
    images = ParticleImages(names, root)
    if images.bad:
        name, reason = next(iter(images.bad.items()))
        raise InputError(f"the class average {name} cannot be read: {reason}")
    averages = changed(images.read(slice(None)), False, options.flip_y)
    pixel_size = read_stack(root / names.iloc[0].rpartition("@")[2]).pixel_size_angstrom
    if pixel_size is None:
        raise InputError(
            f"{names.iloc[0]} does not say its pixel size; set it, for example with relion_image_handler"
        )
    stack = options.directory / "class_averages.mrc"
    write_stack(stack, averages, pixel_size)
    made = {"class_averages": stack}
    if options.to == "cryosparc":
        made["dataset"] = stack.with_suffix(".cs")
        fields = cryosparc_write.average_fields(f">{stack.name}", len(names), images.box, pixel_size)
        cryosparc.write_dataset(made["dataset"], fields)
        made["group"] = stack.with_suffix(".csg")
        cryosparc.write_result_group(made["group"], made["dataset"].name, "template", ["blob"], len(names))
    return JobResult(
        files=made,
        values={"classes": len(names)},
        summary=f"{len(names)} class averages written for {options.to}",
    )


def _reference_images(path: Path) -> tuple[pd.Series, Path]:
    """Names NUMBER@STACK of class averages, and the folder that they start from."""
    from boxwood.io.star import read_star

    for table in read_star(path).values():
        rows = pd.DataFrame([table]) if isinstance(table, dict) else table
        if "rlnReferenceImage" in rows:
            names = rows["rlnReferenceImage"].astype(str)
            found = find_stacks(names, [Path(), *path.absolute().parents])
            return renamed(names, {f: str(p.absolute()) for f, p in found.items()}), Path()
    raise InputError(f"{path} has no table with _rlnReferenceImage; give class_averages.star")
