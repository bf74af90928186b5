"""Simulate a small project and run everything on it: the quickest way to see what comes out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.options import Options, option

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.picking.agreement import Agreement

# The simulated tetramer's extent, as the tutorial has it for beta-galactosidase.
MIN_DIAMETER, MAX_DIAMETER = 150.0, 180.0


@dataclass(frozen=True, kw_only=True)
class DemoOptions(Options):
    directory: Path = option(
        "folder of the new project", Path("boxwood-demo"), positional=True, metavar="DIR"
    )
    micrographs: int = option("number of micrographs", 5, at_least=1)
    particles: int = option("particles in each micrograph", 150, at_least=1)
    width: int = option("width of a micrograph", 3710, unit="px", at_least=256)
    height: int = option("height of a micrograph", 3838, unit="px", at_least=256)
    iterations: int = option("iterations of the classification", 25, at_least=1)
    seed: int = option("seed of the random numbers", 1, at_least=0)


def run(options: DemoOptions, context: JobContext) -> JobResult:
    """Make a project with a simulated data set, run the main job in it, and compare picks with the truth."""
    from boxwood.io.particles import MicrographSet

    folder = options.directory
    sizes = {name: getattr(options, name) for name in ("micrographs", "particles", "width", "height", "seed")}
    simulated = context.run("simulate", directory=folder, **sizes)
    result = _run_in(
        folder,
        context,
        micrographs=simulated.files["micrographs"].name,
        min_diameter=MIN_DIAMETER,
        max_diameter=MAX_DIAMETER,
        iterations=options.iterations,
        seed=options.seed,
    )
    pixel_size = float(MicrographSet.read(simulated.files["micrographs"]).pixel_sizes()[0])
    truth, values = simulated.tables["truth"], dict(result.values)
    for step, words in (("extract", "picked"), ("select-classes", "selected")):
        if (table := result.tables.get(f"{step} particles")) is not None:
            found = _compare(table, truth, MIN_DIAMETER / 4 / pixel_size)
            values[f"precision {words}"], values[f"recall {words}"] = found.precision, found.recall
            context.log(
                f"{words}: {found.picks} particles, of which {100 * found.precision:.1f} % are true; they "
                f"are {100 * found.recall:.1f} % of the {found.particles} simulated ones"
            )
    page = result.files.get("report", folder)
    return replace(result, tables={**result.tables, "truth": truth}, values=values, summary=f"look at {page}")


def _run_in(folder: Path, context: JobContext, **values: Any) -> JobResult:
    """The main job, in the new project's folder."""
    from boxwood.jobs.registry import load_job
    from boxwood.jobs.runner import run_job

    return run_job(
        load_job("run"), values, project=folder, threads=context.threads, reporter=context.reporter
    )


def _compare(particles: pd.DataFrame, truth: pd.DataFrame, distance_px: float) -> Agreement:
    """Match particles with true ones of the same micrograph."""
    from boxwood.picking.agreement import Agreement, agreement

    columns = ["rlnCoordinateX", "rlnCoordinateY"]
    total = Agreement()
    for name, true in truth.groupby("rlnMicrographName"):
        found = particles.loc[particles["rlnMicrographName"] == name, columns]
        total += agreement(found.to_numpy(), true[columns].to_numpy(), distance_px)
    return total


def _occupied(options: DemoOptions) -> Path | None:
    folder = options.directory
    return folder if folder.is_dir() and any(folder.iterdir()) else None


JOB = Job(
    name="demo",
    options=DemoOptions,
    run=run,
    has_directory=True,
    occupied=_occupied,
    not_on_workers=lambda options: "",
)
