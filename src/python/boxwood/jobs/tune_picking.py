"""Find the settings of autopick whose picks 2D classification likes best, on a few micrographs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from boxwood.errors import InputError, JobError
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.size_options import check_diameters
from boxwood.jobs.tuning_choice import HIT, Tuned, choose
from boxwood.jobs.tuning_judgement import coordinates, judge
from boxwood.jobs.tuning_peaks import AdaptivePicker, LogPicker, Picker
from boxwood.options import Options, option
from boxwood.project.nodes import coordinate_node

if TYPE_CHECKING:
    from boxwood.io.particles import MicrographSet
    from boxwood.picking.tuning import Peaks

FILE = "tuned.json"
# Peaks nearer than so many particle diameters are one place.
SAME = 0.2
# Diameters that are tried: so many steps of this factor below and above that of the particle.
STEP, BELOW, ABOVE = 1.15, 2, 4
# A setting of less expected precision is told to be doubtful.
_FEWEST_GOOD = 0.5


@dataclass(frozen=True, kw_only=True)
class TunePickingOptions(Options):
    micrographs: Path = option(
        "micrographs STAR file", group="I/O", input="micrographs", joboption="fn_input_autopick"
    )
    tune_on: int = option("micrographs to tune on, spread over the list", 4, at_least=1, group="I/O")
    max_places: int = option(
        "take fewer micrographs if these have so many places to judge", 12_000, at_least=100, group="I/O"
    )
    method: str = option(
        "the method of autopick to tune", "log", choices=("log", "adaptive"), group="Picking"
    )
    particle_diameter: float | None = option(
        "diameter of the particles, for boxes and masks; learned from the micrographs if not given",
        None,
        unit="Å",
        at_least=2.5,
        group="Picking",
    )
    min_diameter: float | None = option(
        "smallest diameter to try; 0.76 of the particle's if not given",
        None,
        unit="Å",
        at_least=2.5,
        group="Picking",
        joboption="log_diam_min",
    )
    max_diameter: float | None = option(
        "largest diameter to try; 1.75 of the particle's if not given",
        None,
        unit="Å",
        at_least=2.5,
        group="Picking",
        joboption="log_diam_max",
    )
    white_particles: bool = option("the particles are white", False, group="Picking", joboption="log_invert")
    max_resolution: float = option(
        "finest detail that `log` uses; -1 for all of it",
        20.0,
        unit="Å",
        group="Picking",
        joboption="log_maxres",
    )
    penalty: float | None = option(
        "maximise the good picks less so many times the bad ones; if not given the F-measure, in which "
        "particles that are missed count as much as false picks",
        None,
        at_least=0,
        group="Picking",
    )
    seed: int = option("seed of the random numbers", 1, at_least=0, group="Picking")

    def validate(self) -> None:
        if (self.min_diameter is None) != (self.max_diameter is None):
            raise InputError("min_diameter and max_diameter belong together; give both, or none of them")
        check_diameters(self.min_diameter, self.max_diameter)


def run(options: TunePickingOptions, context: JobContext) -> JobResult:
    """Write tuned.json (options of autopick), tuned.star (what was compared), the picks, and a report."""
    from boxwood.io.particles import MicrographSet
    from boxwood.picking.tuning import gather

    micrographs = MicrographSet.read(options.micrographs)
    files, pixel_size = _chosen_micrographs(options, micrographs)
    picker, diameter = _picker(options, context, files, pixel_size)
    lists, negatives = _candidates(options, context, picker, files, pixel_size, SAME * diameter)
    places, decoys = (
        {name: gather(peaks, SAME * diameter) for name, peaks in found.items()}
        for found in (lists, negatives)
    )
    count = sum(map(len, places.values()))
    if not count:
        raise JobError(f"no setting has a peak on the {len(files)} micrographs; try other diameters")
    context.log(
        f"{count} places on {len(places)} micrographs are judged, for {len(picker.settings)} settings"
    )
    judged = partial(
        judge,
        micrographs=options.micrographs,
        diameter=diameter,
        pixel_size=pixel_size,
        white=options.white_particles,
        ctf=micrographs.has_ctf(),
        seed=options.seed,
        context=context,
    )
    candidates = judged(places, decoys, folder=context.output / "candidates")
    choice = choose(picker, lists, candidates.particles, HIT * diameter, options.penalty)
    picks, confirmed = choice.picks(), candidates
    if sum(map(len, picks.values())):
        negative = replace(choice, lists={name: choice.of(picker, p) for name, p in negatives.items()})
        confirmed = judged(picks, negative.picks(), folder=context.output / "confirmed")
    tuned = Tuned(picker, choice, candidates, confirmed, files, pixel_size, options.penalty)
    return _write(tuned, options, context)


def _chosen_micrographs(
    options: TunePickingOptions, micrographs: MicrographSet
) -> tuple[dict[str, Path], float]:
    """Files by name, and their pixel size: some of those with the size that most have."""
    from boxwood.jobs.adaptive_picking import spread

    sizes = np.round(micrographs.pixel_sizes(), 4)
    values, counts = np.unique(sizes, return_counts=True)
    if not len(values):
        raise InputError(f"{options.micrographs} has no micrographs; there is nothing to tune on")
    usual = float(values[np.argmax(counts)])
    root = micrographs.root()
    names = [str(n) for n in micrographs.table["rlnMicrographName"][sizes == usual]]
    return {name: root / name for name in spread(names, options.tune_on)[: options.tune_on]}, usual


def _picker(
    options: TunePickingOptions, context: JobContext, files: dict[str, Path], pixel_size: float
) -> tuple[Picker, float]:
    """What is tuned, and the particle's diameter in Angstrom."""
    common = {"micrographs": options.micrographs, "white_particles": options.white_particles}
    model, diameter = None, options.particle_diameter
    if options.method == "adaptive" or diameter is None:
        from boxwood.jobs.adaptive_picking import model_for
        from boxwood.jobs.picking_model import FILE as MODEL

        known = options.min_diameter is not None
        values = (
            {"min_diameter": options.min_diameter, "max_diameter": options.max_diameter}
            if known
            else {"diameter": "auto" if diameter is None else f"{diameter:g}"}
        )
        learning = {
            "method": "adaptive",
            "learn_from": options.tune_on,
            "doubtful": True,
            "seed": options.seed,
        }
        model = model_for(
            AutopickOptions.make({**common, **learning, **values}),
            context,
            files,
            dict.fromkeys(files, pixel_size),
        )
        if model is None:
            raise JobError(
                "without a diameter there is nothing to tune; give particle_diameter, for method log"
            )
        diameter = diameter or model.particle_diameter_angstrom
    if model is not None and options.method == "adaptive":
        return AdaptivePicker(model, context.output / MODEL, common), diameter
    low = options.min_diameter or diameter * STEP**-BELOW
    high = options.max_diameter or diameter * STEP**ABOVE
    steps = max(0, round(np.log(high / low) / np.log(STEP)))
    tried = np.geomspace(low, high, steps + 1) if steps else np.array([np.sqrt(low * high)])
    return LogPicker(tried, {**common, "max_resolution": options.max_resolution}), diameter


def _candidates(
    options: TunePickingOptions,
    context: JobContext,
    picker: Picker,
    files: Mapping[str, Path],
    pixel_size: float,
    same: float,
) -> tuple[dict[str, list[Peaks]], dict[str, list[Peaks]]]:
    """Lists of peaks by micrograph, one per setting, and those of the micrographs' negatives."""
    from boxwood.io.mrc import read_image
    from boxwood.picking.tuning import gather

    def peaks(name: str) -> tuple[list[Peaks], list[Peaks]]:
        image = np.asarray(read_image(files[name]).data, np.float32)
        return picker.peaks(image, name, pixel_size), picker.peaks(-image, name, pixel_size)

    lists: dict[str, list[Peaks]] = {}
    negatives: dict[str, list[Peaks]] = {}
    places = 0
    for done in context.map(peaks, list(files), what="micrograph", reads=files.__getitem__):
        if places < options.max_places:
            lists[done.item], negatives[done.item] = done.result
            places += len(gather(done.result[0], same))
    if left := len(files) - len(lists) - len(context.bad_inputs):
        context.log(f"{left} micrographs are not needed; raise max_places to use them")
    return lists, negatives


def _write(tuned: Tuned, options: TunePickingOptions, context: JobContext) -> JobResult:
    from boxwood.io.atomic import write_text
    from boxwood.io.coordinates import write_coordinates
    from boxwood.io.star import write_star
    from boxwood.jobs.autopick import write_list

    picks, numbers = tuned.choice.picks(), tuned.numbers()
    for name, found in picks.items():
        table = coordinates(found, tuned.pixel_size).assign(rlnAutopickFigureOfMerit=found.level)
        write_coordinates(context.output_path(name, "_autopick.star"), table, dialect=context.dialect)
    made = {"coordinates": write_list(options.micrographs, context, picks)}
    made["compared"] = context.output / "tuned.star"
    compared = tuned.table()
    write_star(made["compared"], {"boxwood_tuning": compared}, dialect=context.dialect)
    with context.picture("report"):
        from boxwood.jobs.tuning_report import write_tuning_report

        made["report"] = write_tuning_report(tuned, context)
    made["tuned"] = context.output / FILE
    record = {"autopick": tuned.options, "command": tuned.command, "expected": numbers}
    write_text(made["tuned"], json.dumps(record, default=str, indent=1) + "\n")
    precision = numbers["confirmed_precision"]
    if precision < _FEWEST_GOOD or not (tuned.confirmed.class_score >= _FEWEST_GOOD).any():
        context.warn(
            f"only {100 * precision:.0f} % of the picks of the best setting look like particles; look at the "
            "class averages in the report before using it"
        )
    context.log(f"to pick all micrographs so: {tuned.command}")
    return JobResult(
        files=made,
        tables={"compared": compared},
        values={**numbers, "command": tuned.command},
        summary=tuned.sentence(),
    )


def tuned_options(path: Path) -> dict[str, Any]:
    """The options of autopick in a tuned.json.

    Raises
    ------
    InputError
        If there are none.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["autopick"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no {FILE} of tune-picking ({error}); run it again") from error


JOB = Job(
    name="tune-picking",
    folder="AutoPick",
    options=TunePickingOptions,
    run=run,
    process=4,
    label="relion.autopick.log",
    joboptions={
        "do_log": "Yes",
        "do_refs": "No",
        "do_ref3d": "No",
        "do_topaz": "No",
        "continue_manual": "No",
    },
    keeps=lambda options: [o.name for o in options.declared()],
    makes=lambda options, dialect: coordinate_node(dialect, "autopick", "autopick.star"),
)
