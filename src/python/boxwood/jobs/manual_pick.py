"""Bring coordinates from elsewhere into a project, as RELION's manual picking would have saved them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.manual_pick_options import ManualPickOptions

LISTS = ("autopick.star", "manualpick.star", "extractpick.star", "coordinates.star", "coords_suffix_*.star")
SUFFIXES = (".star", ".box", ".cbox", ".txt", ".coord", ".pick")


def run(options: ManualPickOptions, context: JobContext) -> JobResult:
    """Write NAME_manualpick.star for each micrograph with coordinates, and the lists of RELION 3 and 5."""
    from boxwood.io.coordinates import read_coordinates, write_coordinates
    from boxwood.io.coordinates import write_coords_suffix as write_suffix
    from boxwood.io.particles import MicrographSet
    from boxwood.jobs import manual_pick_files

    micrographs = MicrographSet.read(options.micrographs)
    names = [str(name) for name in micrographs.table["rlnMicrographName"]]
    sources = _sources(options.coordinates, names)
    context.use(sources.values())

    def bring(name: str) -> tuple[Path, int]:
        table = manual_pick_files.as_clicked(read_coordinates(sources[name]), context.dialect)
        path = context.output_path(name, "_manualpick.star")
        write_coordinates(path, table, dialect=context.dialect)
        return path, len(table)

    picked = {}
    for done in context.map(bring, list(sources), what="micrograph"):
        picked[done.item] = done.result
    paths = {name: path for name, (path, _) in picked.items()}
    everyone = np.ones(len(names), bool)
    manual_pick_files.write_selection(context.output, micrographs, everyone, dialect=context.dialect)
    files = {
        "micrographs": context.output / manual_pick_files.SELECTED,
        "selection": context.output / manual_pick_files.LOCAL,
        "list": manual_pick_files.write_list(context.output, paths, dialect=context.dialect),
        "coordinates": write_suffix(context.output, "manualpick", options.micrographs),
    }
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


def _makes(options: ManualPickOptions, dialect: str) -> dict[str, str]:
    from boxwood.jobs import manual_pick_files

    return {
        manual_pick_files.SELECTED: "micrographs",
        "coords_suffix_manualpick.star": "coordinates_suffix",
        manual_pick_files.LIST: "manual_coordinates_list",
    }


JOB = Job(
    name="manual-pick",
    folder="ManualPick",
    options=ManualPickOptions,
    run=run,
    process=3,
    label="relion.manualpick",
    makes=_makes,
)
