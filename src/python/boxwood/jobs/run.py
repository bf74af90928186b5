"""The main job: pick, extract, classify and select, with everything derived from the particle's diameter.

With `iterate` the selected class averages are the templates of a second round.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwood.errors import InputError, JobAborted
from boxwood.jobs.context import JobContext
from boxwood.jobs.defaults import Sizes, chosen_sizes, classes_for
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.size_options import (
    background_diameter_option,
    box_size_option,
    check_diameters,
    mask_diameter_option,
    rescale_option,
)
from boxwood.jobs.steps import Steps, new_report_folder, write_overview
from boxwood.jobs.tune_picking import tuned_options
from boxwood.options import Options, option


@dataclass(frozen=True, kw_only=True)
class RunOptions(Options):
    micrographs: Path = option("micrographs STAR file", group="I/O", input="micrographs")
    min_diameter: float = option("smallest diameter of the particle", group="Particle", unit="Å", above=0)
    max_diameter: float = option("largest diameter of the particle", group="Particle", unit="Å", above=0)
    white_particles: bool = option("the particles are white in the micrographs", False, group="Particle")
    method: str = option(
        "how to pick at first, as in `autopick`", "log", choices=("log", "adaptive"), group="Picking"
    )
    iterate: bool = option(
        "pick all micrographs again with the selected averages as templates, extract and classify again",
        False,
        group="Picking",
    )
    resume: bool = option(
        "take over the jobs of this project that were done with the same options, and go on with those "
        "that were stopped",
        False,
        group="I/O",
    )
    tune: bool = option(
        "first find the picker's diameter, threshold and distance on a few micrographs (`tune-picking`)",
        False,
        group="Picking",
    )
    threshold_offset: float = option(
        "raise or lower the picking threshold", 0.0, unit="stddev", group="Picking"
    )
    max_resolution: float = option(
        "resolution to which micrographs are used in picking", 20.0, unit="Å", above=0, group="Picking"
    )
    box_size: int | None = box_size_option()
    rescale: int | None = rescale_option()
    background_diameter: int | None = background_diameter_option()
    classes: int | None = option(
        "number of classes; one for every 40 particles, and at most 50, if not given",
        None,
        at_least=1,
        group="Classification",
    )
    iterations: int = option("iterations of the classification", 25, at_least=1, group="Classification")
    mask_diameter: float | None = mask_diameter_option()
    seed: int = option("seed of the random numbers", 1, at_least=0, group="Classification")
    min_score: float = option(
        "smallest score of a class that is selected",
        0.5,
        at_least=0,
        at_most=1,
        group="Selection",
    )
    clean: bool = option(
        "clean the particles, too: keep those whose own score is high enough, once each",
        False,
        group="Selection",
    )

    def validate(self) -> None:
        if self.tune and self.threshold_offset:
            raise InputError("tune finds the threshold by itself; leave out threshold_offset, or tune")
        check_diameters(self.min_diameter, self.max_diameter)


def run(options: RunOptions, context: JobContext) -> JobResult:
    """Run the jobs one after the other, twice if asked, and write a report of all of them."""
    try:
        return _run(options, context)
    except JobAborted as stop:
        if context.output_given:
            raise
        raise JobAborted(f"{stop}, or with all that follows by the same command and --resume") from stop


def _run(options: RunOptions, context: JobContext) -> JobResult:
    from boxwood.io.particles import MicrographSet

    if context.output_given and (options.iterate or options.resume):
        raise InputError("iterate and resume are for jobs of a project; leave out output")
    micrographs = MicrographSet.read(options.micrographs)
    # Where micrographs differ, the finest pixels decide: the box in pixels is the same for all.
    sizes = chosen_sizes(options, float(min(micrographs.pixel_size_of_groups().values())))
    ctf = micrographs.has_ctf()
    if not ctf:
        context.warn(f"{options.micrographs} has no CTF parameters; particles are classified without")
    steps = Steps(context, resume=options.resume)
    picked = steps.run("autopick", **_picking(options, steps))
    classified, selected = _classify(picked, options, sizes, ctf, steps)
    if options.iterate and selected is not None:
        picked = steps.run(
            "autopick",
            micrographs=options.micrographs,
            references=selected.files["class_averages"],
            mask_diameter=sizes.mask_angstrom,
            references_inverted=not options.white_particles,
            references_ctf_corrected=ctf,
        )
        classified, _ = _classify(picked, options, sizes, ctf, steps)
    if options.clean:
        steps.run("select-particles", particles=classified.files["data"], auto=True)
    files = steps.files()
    with context.picture("report"):
        given = context.output / "report" if context.output_given else None
        folder = given or new_report_folder(context.output, resume=options.resume)
        files["report"] = write_overview(folder, steps.done)
        context.log(f"report: {files['report']}")
    return JobResult(files=files, tables=steps.tables(), values=steps.values(), summary=steps.summary())


def _picking(options: RunOptions, steps: Steps) -> dict[str, Any]:
    """Options of autopick: those given, or those that tuning finds with them."""
    same = ("micrographs", "method", "white_particles", "max_resolution")
    given = {name: getattr(options, name) for name in same}
    if not options.tune:
        threshold = {"threshold_offset": options.threshold_offset}
        return {
            **given,
            **threshold,
            "min_diameter": options.min_diameter,
            "max_diameter": options.max_diameter,
        }
    middle = (options.min_diameter + options.max_diameter) / 2
    tuned = steps.run("tune-picking", particle_diameter=middle, seed=options.seed, **given)
    return tuned_options(tuned.files["tuned"])


def _classify(
    picked: JobResult, options: RunOptions, sizes: Sizes, ctf: bool, steps: Steps
) -> tuple[JobResult, JobResult | None]:
    """Extract, classify and select: the classification, and None where no class could be selected."""
    extracted = steps.run(
        "extract",
        micrographs=options.micrographs,
        coordinates=picked.output,
        box_size=sizes.box_px,
        rescale=sizes.rescaled_px,
        background_diameter=sizes.background_px,
        invert_contrast=not options.white_particles,
    )
    classified = steps.run(
        "class2d",
        particles=extracted.files["particles"],
        classes=options.classes or classes_for(len(extracted.tables["particles"])),
        iterations=options.iterations,
        mask_diameter=sizes.mask_angstrom,
        seed=options.seed,
        ctf=ctf,
    )
    return classified, _select(classified.files["model"], options, steps)


def _select(model: Path, options: RunOptions, steps: Steps) -> JobResult | None:
    """Select by score; when the scores say nothing tell how to choose by eye, and go on to the report."""
    try:
        return steps.run("select-classes", model=model, auto=True, min_score=options.min_score, recenter=True)
    except InputError as refusal:
        steps.context.warn(
            f"{refusal} To choose by eye: boxwood select-classes --model {model} --classes 1,2"
        )
        return None


JOB = Job(name="run", options=RunOptions, run=run, not_on_workers=lambda options: "")
