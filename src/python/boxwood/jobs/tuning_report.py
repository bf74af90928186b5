"""The page that shows what tuning compared and chose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boxwood.jobs.context import JobContext

if TYPE_CHECKING:
    from boxwood.jobs.tuning_choice import Tuned
    from boxwood.jobs.tuning_judgement import Judged
    from boxwood.report import Picture

# Micrographs that get a picture of their picks, and settings in the table.
PICTURES, ROWS = 3, 12


def write_tuning_report(tuned: Tuned, context: JobContext) -> Path:
    """Draw curves, picks and class averages; write report/index.html."""
    from boxwood.report import Section, write_report

    folder, numbers, table = context.output / "report", tuned.numbers(), tuned.table().head(ROWS)
    sections = [
        Section(
            title="Chosen",
            text=f"{numbers['picks']} picks; {numbers['precision']:.2f} of them are expected to be particles "
            f"({numbers['confirmed_precision']:.2f} when classified by themselves), and "
            f"{numbers['recall']:.2f} of the particles that any setting finds to be picked.",
            pictures=_curves(folder, tuned),
            header=[name.removeprefix("bw") for name in table],
            rows=[[f"{value:.4g}" for value in row] for row in table.to_numpy()],
        ),
        Section(title="Picks", pictures=_overlays(folder, tuned, context)),
        Section(
            title="Class averages",
            pictures=[
                _averages(folder / "candidates.png", tuned.candidates, "all candidates"),
                _averages(folder / "confirmed.png", tuned.confirmed, "the chosen picks alone"),
            ],
            columns=1,
        ),
        Section(title="What to do next", text=tuned.command),
    ]
    return write_report(folder, sections, title="Tuned picking", lead=tuned.sentence())


def _curves(folder: Path, tuned: Tuned) -> list[Picture]:
    from boxwood.report import Picture
    from boxwood.report.tuning import draw_settings, draw_tuning_curve

    choice, settings = tuned.choice, list(tuned.choice.curves)
    curve = draw_tuning_curve(folder / "curve.png", choice.curve, choice.best)
    compared = draw_settings(
        folder / "settings.png",
        [s.diameter for s in settings],
        [s.distance for s in settings],
        [float(choice.curves[s].value(tuned.penalty).max()) for s in settings],
        "expected F-measure" if tuned.penalty is None else "good picks less the bad ones",
    )
    return [
        Picture(curve, "the chosen setting by threshold"),
        Picture(compared, "every diameter and distance at its best threshold"),
    ]


def _averages(path: Path, judged: Judged, caption: str) -> Picture:
    from boxwood.report import Picture
    from boxwood.report.class_selection import draw_class_selection

    score, shares = judged.class_score, judged.saved.classes["rlnClassDistribution"].to_numpy(np.float64)
    draw_class_selection(path, judged.saved.averages, score >= 0.5, score, shares)
    return Picture(path, caption)


def _overlays(folder: Path, tuned: Tuned, context: JobContext) -> list[Picture]:
    from boxwood.io.mrc import read_image
    from boxwood.report import Picture, draw_picks, preview

    drawn, likely, pixel = [], tuned.likely(tuned.candidates), tuned.pixel_size
    for number, (name, picks) in enumerate(list(tuned.choice.picks().items())[:PICTURES], 1):
        context.check_abort()
        path = draw_picks(
            folder / f"picks{number}.png",
            *preview(read_image(tuned.files[name]).data, pixel),
            picks.x / pixel,
            picks.y / pixel,
            tuned.candidates.diameter_angstrom / pixel,
            f"{Path(name).name}: {len(picks)} picks",
            fom=likely[name],
            fom_label="probability of a particle",
        )
        drawn.append(Picture(path, name))
    return drawn
