"""Jobs that run one after the other, and the report that shows all of them."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.io.atomic import remove_unfinished
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import JobResult
from boxwood.jobs.registry import JOBS, load_job
from boxwood.options.arguments import as_command
from boxwood.project.folder import ProjectFolder
from boxwood.project.job_files import Kept

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.report import JobEntry, Section

TITLES = {
    "tune-picking": "Tuned picking",
    "autopick": "Picks",
    "extract": "Particles",
    "class2d": "Classes",
    "select-classes": "Selected classes",
    "select-particles": "Cleaned particles",
}


# What later jobs need of a job, by the names it has in `JobResult.files`.
_FILES: dict[str, dict[str, str]] = {
    "tune-picking": {"tuned": "tuned.json"},
    "autopick": {},
    "extract": {"particles": "particles.star"},
    "class2d": {"model": "run_it*_model.star", "data": "run_it*_data.star"},
    "select-classes": {"class_averages": "class_averages.star", "particles": "particles.star"},
    "select-particles": {"particles": "particles.star"},
}


@dataclass(frozen=True)
class Step:
    """A job that was run, with its options and how long it took."""

    name: str
    values: Mapping[str, Any]
    result: JobResult
    seconds: float

    @property
    def command(self) -> str:
        """What a user types for it."""
        options = load_job(self.name).options.make(self.values)
        return shlex.join(["boxwood", self.name, *as_command(options)])


class Steps:
    """Runs jobs and remembers them.

    Parameters
    ----------
    context : JobContext
    resume : bool
        Take over jobs of the project that were done with the same options, and go on with those that were
        stopped.
    """

    def __init__(self, context: JobContext, *, resume: bool = False) -> None:
        self.context = context
        self.resume = resume
        self.done: list[Step] = []

    def run(self, name: str, **values: Any) -> JobResult:
        """Run the job called `name`; see `JobContext.run`."""
        began = time.perf_counter()
        folder, finished = self._earlier(name, values) if self.resume else (None, False)
        if folder is None:
            result = self.context.run(name, **values)
        elif finished:
            self.context.log(f"{name}: done already in {folder}/")
            result = _taken_over(name, folder)
        else:
            result = self.context.run(name, continue_from=folder.as_posix())
        self.done.append(Step(name, values, result, time.perf_counter() - began))
        return result

    def _earlier(self, name: str, values: Mapping[str, Any]) -> tuple[Path | None, bool]:
        """The latest job of the project with these options that is not in use yet, and whether it is done."""
        books, kind = ProjectFolder(Path()), load_job(name)
        wanted = kind.options.make(values)
        used = {step.result.output for step in self.done}
        for job in reversed(books.pipeline().jobs() if books.exists else []):
            folder = Path(job.name)
            if folder.parent.name != kind.folder or folder in used:
                continue
            kept = Kept.read(folder)
            if kept is None or kept.job != name or kind.options.make(kept.options) != wanted:
                continue
            if job.status == "Succeeded" and _result_files(name, folder) is not None:
                return folder, True
            if job.status in ("Aborted", "Running"):
                return folder, False
        return None, False

    def files(self) -> dict[str, Path]:
        """All files, by job and name: "extract particles"."""
        return {f"{step.name} {name}": path for step in self.done for name, path in step.result.files.items()}

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables, named like the files."""
        return {f"{step.name} {name}": t for step in self.done for name, t in step.result.tables.items()}

    def values(self) -> dict[str, Any]:
        """All values, named like the files."""
        return {f"{step.name} {name}": v for step in self.done for name, v in step.result.values.items()}

    def summary(self) -> str:
        return "; ".join(step.result.summary for step in self.done)


def _result_files(name: str, folder: Path) -> dict[str, Path] | None:
    """The files of a finished job that later ones need; None if one is missing."""
    found = {what: sorted(folder.glob(pattern)) for what, pattern in _FILES[name].items()}
    return {what: paths[-1] for what, paths in found.items()} if all(found.values()) else None


def _taken_over(name: str, folder: Path) -> JobResult:
    from boxwood.io.particles import ParticleSet

    files = _result_files(name, folder) or {}
    tables = {"particles": ParticleSet.read(files["particles"]).table} if name == "extract" else {}
    return JobResult(files=files, tables=tables, summary=f"{folder}/ was done already", output=folder)


def new_report_folder(folder: Path, *, resume: bool = False) -> Path:
    """Where a report goes beside earlier ones, whose jobs are all there still: report, report002, ...

    With `resume` also into one that was begun and has no page yet, for its run was killed.
    """
    names = itertools.chain(["report"], (f"report{number:03d}" for number in itertools.count(2)))
    paths = (folder / name for name in names)
    path = next(path for path in paths if not path.exists() or (resume and _is_begun(path)))
    remove_unfinished(path.glob(".*.tmp"))
    return path


def _is_begun(report: Path) -> bool:
    """Whether there is nothing but pictures; the page comes last."""
    return report.is_dir() and all(path.suffix in (".png", ".tmp") for path in report.iterdir())


def write_overview(
    folder: Path, steps: Sequence[Step], *, title: str = "From micrographs to classes"
) -> Path:
    """Write a report page with the pictures that the jobs drew, what they made, and how to repeat them."""
    from boxwood.report import Section, write_report

    sections = [_section(step) for step in steps]
    sections.append(Section(title="Jobs", jobs=[_entry(step) for step in steps]))
    lead = ". ".join(step.result.summary for step in steps) + "."
    return write_report(folder, sections, title=title, lead=lead)


def _section(step: Step) -> Section:
    from boxwood.report import Picture, Section

    folder = step.result.output
    header, rows = _reasons(folder)
    found = sorted(folder.rglob("*.png"))
    return Section(
        title=TITLES.get(step.name, step.name),
        text=step.result.summary,
        pictures=[Picture(path, _caption(path.relative_to(folder))) for path in found],
        columns=2 if step.name == "autopick" else 1,
        header=header,
        rows=rows,
    )


def _reasons(folder: Path) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
    """Why classes were selected, or why particles were removed: the header and rows of a table."""
    from boxwood.io.star import read_star

    classes, particles = folder / "class_scores.star", folder / "particle_scores.star"
    if classes.exists():
        table = read_star(classes)["boxwood_scores"]
        columns = table["rlnClassNumber"], table["rlnClassScore"].map("{:.2f}".format), table["bwReasons"]
        return ("class", "score", "reasons"), list(zip(*columns, strict=True))
    if particles.exists():
        removed = read_star(particles)["boxwood_scores"].query("rlnSelected == 0")["bwReason"]
        counts = removed.value_counts()
        return ("particles", "removed because"), list(zip(counts, counts.index, strict=True))
    return (), ()


def _caption(path: Path) -> str:
    """Pictures of micrographs are below the job's folder and named like them; others say what they are."""
    return path.stem.replace("_", " ") if path.parent == Path() else path.as_posix()


def _entry(step: Step) -> JobEntry:
    from boxwood.report import JobEntry

    return JobEntry(
        name=f"{step.name}: {JOBS[step.name][1]}",
        folder=step.result.output.as_posix(),
        seconds=step.seconds,
        command=step.command,
        settings=dict(step.values),
        files=[path.name for path in step.result.files.values()],
        summary=step.result.summary,
    )
