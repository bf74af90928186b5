"""Bring coordinates from elsewhere into a project, as RELION's manual picking would have saved them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.options import Options, option

if TYPE_CHECKING:
    import pandas as pd

LISTS = ("autopick.star", "manualpick.star", "extractpick.star", "coordinates.star", "coords_suffix_*.star")
SUFFIXES = (".star", ".box", ".cbox", ".txt", ".coord", ".pick")
# What RELION writes where a click tells nothing: -999, and the green of its six colours.
UNKNOWN, GREEN = -999, 2


@dataclass(frozen=True, kw_only=True)
class ManualPickOptions(Options):
    micrographs: Path = option(
        "micrographs STAR file", group="I/O", input="micrographs", joboption="fn_in", flag="--i"
    )
    coordinates: Path | None = option(
        "where the particles are: a picking job, its list of coordinate files, or a folder of files "
        "named like the micrographs (.star, EMAN's .box, crYOLO's .cbox, or text with x and y); without it "
        "there are none yet",
        None,
        group="I/O",
        metavar="FOLDER",
    )


def run(options: ManualPickOptions, context: JobContext) -> JobResult:
    """Write NAME_manualpick.star for each micrograph with coordinates, and the lists of RELION 3 and 5."""
    import pandas as pd

    from boxwood.io.coordinates import read_coordinates, write_coordinate_list, write_coordinates
    from boxwood.io.coordinates import write_coords_suffix as write_suffix
    from boxwood.io.particles import MicrographSet
    from boxwood.io.star import write_star

    micrographs = MicrographSet.read(options.micrographs)
    names = [str(name) for name in micrographs.table["rlnMicrographName"]]
    sources = _sources(options.coordinates, names)
    context.use(sources.values())

    def bring(name: str) -> tuple[Path, int]:
        table = _as_clicked(read_coordinates(sources[name]), context.dialect)
        path = context.output_path(name, "_manualpick.star")
        write_coordinates(path, table, dialect=context.dialect)
        return path, len(table)

    picked = {}
    for done in context.map(bring, list(sources), what="micrograph"):
        picked[done.item] = done.result
    files = {
        "micrographs": context.output / "micrographs_selected.star",
        "selection": context.output / "local_selection.star",
        "list": context.output / "manualpick.star",
        "coordinates": write_suffix(context.output, "manualpick", options.micrographs),
    }
    micrographs.write(files["micrographs"], dialect=context.dialect)
    selection = pd.DataFrame({"rlnMicrographName": names, "rlnSelected": 1})
    write_star(files["selection"], {"": selection}, dialect=context.dialect)
    paths = {name: path.as_posix() for name, (path, _) in picked.items()}
    write_coordinate_list(files["list"], paths, dialect=context.dialect)
    context.add_output(files["micrographs"], "micrographs")
    context.add_output(files["coordinates"], "coordinates_suffix")
    context.add_output(files["list"], "manual_coordinates_list")
    total = sum(count for _, count in picked.values())
    return JobResult(
        files=files,
        values={"picks": total, "micrographs": len(picked)},
        summary=f"{total} coordinates brought in for {len(picked)} of {len(names)} micrographs",
    )


def _sources(place: Path | None, names: list[str]) -> dict[str, Path]:
    """The coordinate file of each micrograph that has one."""
    from boxwood.io.coordinates import coordinate_files

    if place is None:
        return {}
    if not place.exists():
        raise InputError(f"coordinates: there is no {place}; name a picking job, its list, or a folder.")
    if not place.is_dir() or any(path for pattern in LISTS for path in place.glob(pattern)):
        found = coordinate_files(place, micrographs=names)
    else:
        found = {name: file for name in names if (file := _file_like(place, Path(name).stem))}
    found = {name: file for name, file in found.items() if name in set(names)}
    if not found:
        raise InputError(
            f"{place} has no coordinates for any of the {len(names)} micrographs; its files are to be named "
            f"like them, for example {Path(names[0]).stem}.star."
        )
    return found


def _file_like(folder: Path, stem: str) -> Path | None:
    """The only file of coordinates below `folder` that is called `stem` or `stem`_SOMETHING."""
    hits = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    exact = [path for path in hits if path.stem == stem]
    hits = exact or [path for path in hits if path.stem.rpartition("_")[0] == stem]
    if len(hits) > 1:
        raise InputError(f"{hits[0]} and {hits[1]} are both called like micrograph {stem}; leave one there.")
    return hits[0] if hits else None


def _as_clicked(table: pd.DataFrame, dialect: str) -> pd.DataFrame:
    """Coordinates with the columns of a manual pick; what the table knows is kept."""
    kind = {"rlnClassNumber": UNKNOWN} if dialect == "3.1" else {"rlnParticleSelectionType": GREEN}
    wanted = {**kind, "rlnAnglePsi": float(UNKNOWN), "rlnAutopickFigureOfMerit": float(UNKNOWN)}
    return table.assign(**{label: value for label, value in wanted.items() if label not in table})


JOB = Job(
    name="manual-pick",
    folder="ManualPick",
    options=ManualPickOptions,
    run=run,
    process=3,
    label="relion.manualpick",
)
