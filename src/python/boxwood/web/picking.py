"""Picks as the page shows and saves them: a job's micrographs, their coordinates, and which are selected.

A source is a picking job (ManualPick or AutoPick) or anything that lists micrographs: another job, or a STAR
file. Only picking jobs have coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from boxwood.errors import BoxwoodError, InputError
from boxwood.io.coordinates import (
    coordinate_path,
    count_coordinates,
    read_coordinates,
    write_coordinates,
)
from boxwood.io.particles import MicrographSet, ParticleSet
from boxwood.io.star import read_star_table
from boxwood.jobs import manual_pick_files, picking_model
from boxwood.jobs.adaptive_picking import LOCAL_FDR
from boxwood.jobs.from_form import job_of
from boxwood.jobs.job import Job
from boxwood.jobs.manual_pick_options import FOM
from boxwood.jobs.registry import load_job
from boxwood.jobs.select_micrographs import micrographs_star
from boxwood.options import Options
from boxwood.project.job_form import JobForm
from boxwood.project.pipeline import PipelineJob
from boxwood.web.endpoint import MissingError
from boxwood.web.jobs import form_folder, status_of
from boxwood.web.revisions import revision, save
from boxwood.web.workspace import Workspace

X, Y = "rlnCoordinateX", "rlnCoordinateY"
PICK_NAMES = {"ManualPick": "manualpick", "AutoPick": "autopick"}


@dataclass(frozen=True)
class Source:
    """Micrographs, and where their coordinates are.

    Attributes
    ----------
    name : str
        "ManualPick/job004", or the STAR file.
    star : str
        STAR file of the micrographs.
    micrographs : MicrographSet
    dialect : str
    pick_name : str
        "manualpick" or "autopick"; empty if the source holds no coordinates.
    status : str
        Of the job.
    """

    name: str
    star: str
    micrographs: MicrographSet
    dialect: str
    pick_name: str = ""
    status: str = ""

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.micrographs.table["rlnMicrographName"]]

    @property
    def suffix(self) -> str:
        """RELION 3's file of a picking job, by which others name its picks."""
        return f"{self.name}/coords_suffix_{self.pick_name}.star"

    def coordinates(self, micrograph: str) -> Path:
        """Where the coordinates of a micrograph are, relative to the project."""
        return coordinate_path(self.name, micrograph, self.pick_name)


def open_source(workspace: Workspace, name: str) -> Source:
    """Find the micrographs that a job works on or lists, or that a STAR file lists.

    Raises
    ------
    InputError
        If there are none.
    """
    project = workspace.project
    dialect = project.pipeline().dialect
    if workspace.read(name).is_file():
        return Source(name, name, _read(workspace, name), dialect)
    try:
        job = project.job(name)
    except InputError as error:
        raise MissingError(str(error)) from None
    folder = job.name.rstrip("/")
    pick_name = PICK_NAMES.get(folder.partition("/")[0], "")
    status = status_of(project, job)
    for star in _stars(job, pick_name):
        try:
            named = str(micrographs_star(workspace.read(star))) if "coords_suffix" in star else star
            return Source(folder, named, _read(workspace, named), dialect, pick_name, status)
        except (BoxwoodError, OSError):
            continue
    raise InputError(f"{folder} names no STAR file of micrographs that is there")


def _stars(job: PipelineJob, pick_name: str) -> list[str]:
    """STAR files that may list the micrographs of a job, or name the file that does."""
    named = [file for file in [*job.inputs, *job.outputs] if file.endswith(".star")]
    return [f"{job.name}coords_suffix_{pick_name}.star", *named] if pick_name else named[::-1]


def _read(workspace: Workspace, star: str) -> MicrographSet:
    path = workspace.read(star)
    stat = path.stat()

    def read() -> tuple[MicrographSet, int]:
        found = MicrographSet.read(path)
        if ParticleSet.key in found.table:
            raise InputError(f"{star} lists particles; name a STAR file of micrographs")
        return found, 2 * stat.st_size

    return workspace.pictures.get(("micrographs", path, stat.st_mtime_ns, stat.st_size), read)


def pixel_sizes(source: Source, given: float | None) -> list[float | None]:
    """Pixel size of every micrograph in Angstrom; None where nothing tells it."""
    if given:
        return [given] * len(source.micrographs)
    try:
        return source.micrographs.pixel_sizes().tolist()
    except InputError:
        return [None] * len(source.micrographs)


def micrograph_of(workspace: Workspace, source: Source, name: str, given: float | None) -> tuple[Path, float]:
    """The file of a micrograph, and its pixel size in Angstrom, to be picked automatically."""
    if name not in source.names:
        raise MissingError(f"{source.name} has no micrograph {name}")
    pixel_size = pixel_sizes(source, given)[source.names.index(name)]
    if not pixel_size:
        raise InputError(f"{source.star} does not tell the pixel size; give it")
    path = workspace.read(name)
    if not path.is_file():
        raise MissingError(f"there is no micrograph {name}")
    return path, pixel_size


def counts(workspace: Workspace, source: Source) -> list[int | None]:
    """Number of picks of every micrograph; None where there is no file."""
    return [_count(workspace, source.coordinates(name)) for name in source.names]


def _count(workspace: Workspace, path: Path) -> int | None:
    try:
        real = workspace.read(path)
        stat = real.stat()
        key = ("count", real, stat.st_mtime_ns, stat.st_size)
        return workspace.pictures.get(key, lambda: (count_coordinates(real), 64))
    except (FileNotFoundError, BoxwoodError):
        return None


def options_of(workspace: Workspace, source: Source) -> Options:
    """What manual picking, or autopicking, was told; all at its defaults where a job was told nothing."""
    kind = _kind_of(source)
    values = told_values(workspace, source)
    needed: dict[str, Any] = {"micrographs": source.star}
    if kind.name == "autopick" and not values:
        needed |= {"min_diameter": 100.0, "max_diameter": 100.0}
    return kind.options.make({**needed, **values})


def told_values(workspace: Workspace, source: Source) -> dict[str, Any]:
    """What a picking job was told, by option; nothing where that cannot be read."""
    if not source.pick_name:
        return {}
    try:
        found = job_of(JobForm.read(form_folder(workspace, source.name)))
    except (BoxwoodError, OSError):
        return {}
    return dict(found.values) if found.job.name == _kind_of(source).name else {}


def _kind_of(source: Source) -> Job:
    return load_job("autopick" if source.pick_name == "autopick" else "manual-pick")


def shown_diameter(workspace: Workspace, source: Source, options: Options) -> float:
    """Diameter of the circles in Angstrom: as told, or of the particles that were looked for or learned."""
    values = options.as_dict()
    if source.pick_name != "autopick":
        return float(values["diameter"])
    model = workspace.read(Path(source.name) / picking_model.FILE)
    if model.is_file():
        return picking_model.read_model(model).particle_diameter_angstrom
    told = [values[name] for name in ("min_diameter", "max_diameter") if values[name] is not None]
    return sum(told) / len(told) if told else 100.0


def metadata(source: Source) -> dict[str, list[float | None]]:
    """Columns of numbers that tell micrographs apart, by label."""
    table = source.micrographs.table
    numbers = table.select_dtypes("number")
    telling = [label for label in numbers if label != "rlnOpticsGroup" and numbers[label].nunique() > 1]
    return {str(label): plain(numbers[label]) for label in telling}


def plain(values: pd.Series) -> list[Any]:
    """Values as JSON has them: what is no number becomes None."""
    if values.dtype.kind == "f":
        return [value if np.isfinite(value) else None for value in values.tolist()]
    return list(values.tolist())


def selected(workspace: Workspace, source: Source) -> tuple[list[bool], str]:
    """Which micrographs are selected, and the revision of that; all of them where nothing is saved."""
    path = workspace.write(Path(source.name) / manual_pick_files.SELECTED)
    everyone = [True] * len(source.micrographs)
    if source.pick_name != "manualpick":
        return everyone, ""
    now = revision(path)
    try:
        table = read_star_table(path, "micrographs")
    except (BoxwoodError, OSError):
        return everyone if not path.exists() else [False] * len(everyone), now
    names = set(pd.DataFrame(table)["rlnMicrographName"]) if len(table) else set()
    return [name in names for name in source.names], now


def save_selected(workspace: Workspace, source: Source, expected: str, chosen: Sequence[int]) -> str:
    """Save which micrographs are selected; return the new revision."""
    if source.pick_name != "manualpick":
        raise InputError(f"{source.name} keeps no selection; make a Select job of it")
    marks = np.zeros(len(source.micrographs), bool)
    if any(not isinstance(row, int) or not 0 <= row < len(marks) for row in chosen):
        raise InputError(f"a selection names micrographs by numbers from 0 to {len(marks) - 1}")
    marks[list(chosen)] = True
    folder = Path(source.name)
    path = workspace.write(folder / manual_pick_files.SELECTED)
    write = manual_pick_files.write_selection
    return save(expected, lambda: write(path.parent, source.micrographs, marks, dialect=source.dialect), path)


def picks_of(workspace: Workspace, source: Source, micrograph: str) -> dict[str, Any]:
    """The coordinates of a micrograph: their labels, a row a pick, the row of a new one, and the revision."""
    path = _file(workspace, source, micrograph)
    now = revision(path)
    table = read_coordinates(path) if path.exists() else pd.DataFrame({X: [], Y: []})
    if source.pick_name == "manualpick" or FOM not in table:
        table = manual_pick_files.as_clicked(table, source.dialect)
    columns = [plain(table[label]) for label in table]
    last = {label: values[-1] for label, values in zip(table, columns, strict=True) if values}
    fresh = {**last, **_told_of_clicks(source)}
    return {
        "labels": list(table.columns),
        "rows": [list(row) for row in zip(*columns, strict=True)],
        "fresh": [fresh.get(label, 0) for label in table.columns],
        "revision": now,
    }


def _told_of_clicks(source: Source) -> dict[str, float]:
    """A click tells nothing of angle and figure of merit; in an automatic job nor of class and background."""
    told = manual_pick_files.clicked(source.dialect)
    if source.pick_name != "autopick":
        return told
    return {"rlnAnglePsi": told["rlnAnglePsi"], FOM: told[FOM], LOCAL_FDR: told[FOM]}


def save_picks(
    workspace: Workspace, source: Source, micrograph: str, expected: str, content: Mapping[str, Any]
) -> str:
    """Save the coordinates of a micrograph, and RELION 5's list of such files; return the revision."""
    path = _file(workspace, source, micrograph)
    if source.pick_name == "autopick" and source.status == "Running":
        raise InputError(f"{source.name} is picking; wait for its end before you change its picks")
    table = _table(content.get("labels"), content.get("rows"))

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_coordinates(path, table, dialect=source.dialect)
        if source.pick_name == "manualpick":
            files = {name: source.coordinates(name) for name in source.names}
            there = {name: file for name, file in files.items() if workspace.read(file).is_file()}
            manual_pick_files.write_list(workspace.write(source.name), there, dialect=source.dialect)

    return save(expected, write, path)


def _table(labels: Any, rows: Any) -> pd.DataFrame:
    """The table that a page sent.

    Raises
    ------
    InputError
        If it is none, or places are no numbers.
    """
    right = isinstance(labels, list) and all(_is_label(label) for label in labels) and {X, Y} <= set(labels)
    right = right and len(set(labels)) == len(labels) and isinstance(rows, list)
    if not right or any(not isinstance(row, list) or len(row) != len(labels) for row in rows):
        raise InputError("picks are sent as labels, among them those of x and y, and rows of values")
    if any(not isinstance(v, int | float | str | None) or isinstance(v, bool) for row in rows for v in row):
        raise InputError("picks are numbers and words")
    table = pd.DataFrame(rows, columns=labels)
    for label in (X, Y):
        table[label] = pd.to_numeric(table[label], errors="coerce").astype(np.float64)
        if not np.isfinite(table[label]).all():
            raise InputError(f"a pick has a {label} that is no number")
    return table


def _is_label(label: Any) -> bool:
    return isinstance(label, str) and label.isidentifier()


def _file(workspace: Workspace, source: Source, micrograph: str) -> Path:
    if not source.pick_name:
        raise InputError(f"{source.name} is no picking job; make one of its micrographs first")
    if micrograph not in source.names:
        raise MissingError(f"{source.name} has no micrograph {micrograph}")
    return workspace.write(source.coordinates(micrograph))


def colours_of(workspace: Workspace, star: str, label: str, micrograph: str, places: Any) -> list[Any]:
    """Values of a label in a STAR file of particles, for picks (n, 2); None where it has none.

    A particle belongs to the pick less than a pixel away.
    """
    from scipy.spatial import KDTree

    table = ParticleSet.read(workspace.read(star)).table
    if label not in table or X not in table or Y not in table:
        raise InputError(f"{star} does not have _{label} and coordinates")
    here = table[table["rlnMicrographName"].map(lambda name: Path(name).name) == Path(micrograph).name]
    if not len(here) or not len(places):
        return [None] * len(places)
    distance, row = KDTree(here[[X, Y]].to_numpy(np.float64)).query(places)
    values = plain(here[label].astype(np.float64))
    return [values[r] if d < 1 else None for d, r in zip(distance, row, strict=True)]
