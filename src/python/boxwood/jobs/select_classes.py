"""Keep the good classes of a 2D classification: their averages as templates, and their particles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.saved_iteration import SavedIteration, read_iteration
from boxwood.jobs.subsets import SELECT_FIELDS, exactly_one
from boxwood.options import Options, option
from boxwood.options.joboptions import Switched

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.class2d.selection import ClassScores
    from boxwood.io.particles import ParticleSet
    from boxwood.typing import IntArray


@dataclass(frozen=True, kw_only=True)
class SelectClassesOptions(Options):
    model: Path = option(
        "model or optimiser STAR file of a 2D classification (run_it025_model.star)",
        group="I/O",
        input="class2d_model",
        joboption="fn_model",
        flag="--i",
    )
    classes: tuple[int, ...] | None = option(
        "numbers of the classes to keep, from 1", None, group="Class options"
    )
    auto: bool = option(
        "keep the classes whose score, a probability to be good from 0 to 1, is high enough",
        False,
        group="Class options",
        joboption="do_class_ranker",
    )
    min_score: float = option(
        "smallest score that --auto keeps",
        0.5,
        group="Class options",
        at_least=0,
        at_most=1,
        joboption="rank_threshold",
        needs="auto",
    )
    min_particles: int | None = option(
        "keep the best of the other classes, too, until there are so many particles",
        None,
        group="Class options",
        at_least=1,
        joboption="select_nr_parts",
        needs="auto",
    )
    min_classes: int | None = option(
        "keep the best of the other classes, too, until there are so many classes",
        None,
        group="Class options",
        at_least=1,
        joboption="select_nr_classes",
        needs="auto",
    )
    recenter: bool = option(
        "re-center the class averages: the centre of mass of positive pixels goes to the centre",
        False,
        group="Class options",
        joboption="do_recenter",
        flag="--recenter",
    )
    regroup: int | None = option(
        "regroup the particles into about so many groups of similar intensity scale",
        None,
        group="Class options",
        at_least=1,
        joboption=Switched("do_regroup", {"nr_groups": "1"}),
        flag="--regroup",
    )
    mask_diameter: float | None = option(
        "diameter in which averages are judged; that of the classification if not given",
        None,
        unit="Å",
        group="Class options",
        above=0,
    )

    def validate(self) -> None:
        exactly_one("Classes", classes=self.classes, auto=self.auto)


def run(options: SelectClassesOptions, context: JobContext) -> JobResult:
    """Write particles.star, class_averages.star, backup_selection.star (and class_averages.mrcs)."""
    saved = read_iteration(options.model)
    context.use([saved.averages_file, Path(saved.particles.source)])
    scores = saved.scores(options.mask_diameter)
    chosen = _chosen(options, scores, saved.sizes())
    rows = np.flatnonzero(saved.particles.table["rlnClassNumber"].isin(chosen + 1))
    if not len(rows):
        raise InputError("The selected classes have no particles; select others.")
    particles = saved.particles.select(rows)
    if options.regroup:
        particles = _regroup(particles, saved.groups, options.regroup)
    files = {"particles": context.output / "particles.star"}
    particles.write(files["particles"], dialect=context.dialect)
    averages = _write_averages(saved, chosen, scores, options.recenter, context, files)
    _write_backup(chosen, scores, context, files)
    _write_scores(chosen, scores, context, files)
    with context.picture("class averages"):
        _draw(saved, chosen, scores, context)
    return JobResult(
        files=files,
        tables={"particles": particles.table, "class_averages": averages, "scores": scores.table()},
        values={"classes": len(chosen), "particles": len(rows)},
        summary=f"{len(chosen)} of {len(saved.classes)} classes selected, with {len(rows)} of "
        f"{len(saved.particles.table)} particles",
    )


def _chosen(options: SelectClassesOptions, scores: ClassScores, sizes: IntArray) -> IntArray:
    """Indices of the classes to keep, from 0."""
    from boxwood.class2d.selection import choose_classes

    if options.classes is None:
        best = float(scores.score.max())
        if best == 0:
            raise InputError("Every class has a score of 0; look at them and name some with --classes.")
        chosen = choose_classes(
            scores.score, sizes, options.min_score, options.min_classes or 0, options.min_particles or 0
        )
        if not len(chosen):
            raise InputError(
                f"No class has a score of {options.min_score:g} or more, the best has {best:.2f}; lower "
                "--min-score, or name some with --classes."
            )
        return chosen
    outside = [number for number in options.classes if not 1 <= number <= len(sizes)]
    if outside:
        raise InputError(f"There is no class {outside[0]}; the classes are numbered 1 to {len(sizes)}.")
    return np.unique(np.array(options.classes, np.int64)) - 1


def _regroup(particles: ParticleSet, groups: pd.DataFrame, count: int) -> ParticleSet:
    """The particles with new group names; old numbers would mean nothing and are dropped, as in RELION."""
    from boxwood.class2d.regroup import regroup

    table = particles.table
    key = next((name for name in ("rlnGroupNumber", "rlnGroupName") if name in table.columns), None)
    if key is None:
        raise InputError("The particles have neither rlnGroupNumber nor rlnGroupName; leave --regroup out.")
    scale = table[key].map(groups.set_index(key)["rlnGroupScaleCorrection"])
    new = regroup(table[key], scale, table["rlnOpticsGroup"], count)
    names = [f"group_{number}" for number in new]
    return replace(
        particles, table=table.drop(columns="rlnGroupNumber", errors="ignore").assign(rlnGroupName=names)
    )


def _write_averages(
    saved: SavedIteration,
    chosen: IntArray,
    scores: ClassScores,
    recentred: bool,
    context: JobContext,
    files: dict[str, Path],
) -> pd.DataFrame:
    """Write class_averages.star and, recentred, class_averages.mrcs; return the table."""
    from boxwood.imaging.centring import recentre
    from boxwood.io.mrc import write_stack
    from boxwood.io.star import write_star

    table = saved.classes.iloc[chosen].reset_index(drop=True)
    if recentred:
        files["templates"] = context.output / "class_averages.mrcs"
        write_stack(
            files["templates"],
            recentre(saved.averages[chosen]),
            float(saved.general["rlnPixelSize"]),
        )
        table["rlnReferenceImage"] = [
            f"{number:06d}@{context.name}class_averages.mrcs" for number in range(1, len(chosen) + 1)
        ]
    elif not _image_file(table["rlnReferenceImage"].iloc[0]).is_file():
        # The iteration was moved since it was written: name its averages where they are now.
        stack = saved.averages_file
        table["rlnReferenceImage"] = [f"{index + 1:06d}@{stack.as_posix()}" for index in chosen]
    table["rlnClassNumber"] = chosen + 1
    if context.dialect == "5":
        # As its class ranker has them; RELION 3 complains of columns it does not know.
        table["rlnPredictedClassScore"] = table["rlnClassScore"] = scores.score[chosen]
    files["class_averages"] = context.output / "class_averages.star"
    # RELION reads the first table.
    judged = {"rlnClassNumber": np.arange(1, len(scores.score) + 1), "bwClassScore": scores.score}
    write_star(files["class_averages"], {"": table, "boxwood_scores": judged}, dialect=context.dialect)
    return table


def _image_file(reference: str) -> Path:
    return Path(reference.partition("@")[2])


def _write_backup(chosen: IntArray, scores: ClassScores, context: JobContext, files: dict[str, Path]) -> None:
    """Write RELION's backup_selection.star: one row per class, 1 where it is selected."""
    from boxwood.io.selection import write_selection

    files["backup_selection"] = context.output / "backup_selection.star"
    selected = np.isin(np.arange(len(scores.score)), chosen)
    write_selection(files["backup_selection"], selected, dialect=context.dialect)


def _write_scores(chosen: IntArray, scores: ClassScores, context: JobContext, files: dict[str, Path]) -> None:
    """Write class_scores.star, the best class first: score, what it is made of, and why; and log it."""
    from boxwood.io.star import write_star

    table = scores.table().sort_values("score", ascending=False, kind="stable")
    known = table[[*scores.features]].fillna(0.0).rename(columns=lambda name: f"bw{name.capitalize()}")
    known.insert(0, "rlnClassNumber", table.index)
    known.insert(1, "rlnSelected", np.isin(table.index, chosen + 1).astype(int))
    known.insert(2, "rlnClassScore", table["score"].to_numpy())
    known["bwReasons"] = table["reasons"].to_numpy()
    files["class_scores"] = context.output / "class_scores.star"
    write_star(files["class_scores"], {"boxwood_scores": known}, dialect=context.dialect)
    for number, row in table.iterrows():
        mark = "*" if number in chosen + 1 else " "
        context.log(f"{mark} class {number:3d}  score {row['score']:.2f}  {row['reasons']}")


def _draw(saved: SavedIteration, chosen: IntArray, scores: ClassScores, context: JobContext) -> None:
    from boxwood.report.class_selection import draw_class_selection

    selected = np.isin(np.arange(len(saved.averages)), chosen)
    shares = saved.classes["rlnClassDistribution"].to_numpy(np.float64)
    path = context.output / "class_selection.png"
    draw_class_selection(path, saved.averages, selected, scores.score, shares)


def _label(options: SelectClassesOptions) -> str:
    return "relion.select.class2dauto" if options.auto else "relion.select.interactive"


JOB = Job(
    name="select-classes",
    folder="Select",
    options=SelectClassesOptions,
    run=run,
    process=7,
    label=_label,
    joboptions=SELECT_FIELDS,
    makes=lambda options, dialect: {
        "particles.star": "particles",
        "class_averages.star": "class_averages",
    },
)
