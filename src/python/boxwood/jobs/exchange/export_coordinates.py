"""Coordinates of a project in the form and frame of another program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.export_options import ExportOptions
from boxwood.jobs.job import JobResult

if TYPE_CHECKING:
    from boxwood.io.exchange.cryosparc_write import Exposure
    from boxwood.io.particles import ParticleSet
    from boxwood.typing import DoubleArray

X, Y, FOM, MICROGRAPH = (
    "rlnCoordinateX",
    "rlnCoordinateY",
    "rlnAutopickFigureOfMerit",
    "rlnMicrographName",
)


@dataclass(frozen=True)
class Micrographs:
    """Micrographs of the project that are to be exported: where they are, and how large their pixels.

    Attributes
    ----------
    root : Path
    pixel_size : dict of str to float or None
        By name, in the order of the project.
    """

    root: Path
    pixel_size: dict[str, float | None]

    def shape(self, name: str) -> tuple[int, int]:
        """Height and width."""
        from boxwood.io.mrc import read_stack

        ny, nx = read_stack(self.root / name).shape[1:]
        return ny, nx

    def pixel(self, name: str) -> float:
        """Pixel size in Angstrom.

        Raises
        ------
        InputError
            It is not known.
        """
        size = self.pixel_size.get(name)
        if size is None:
            raise InputError(f"the pixel size of {name} is not known; give --micrographs")
        return size


def export_coordinates(options: ExportOptions, context: JobContext) -> JobResult:
    """Write files for each micrograph or one for all, as the other program has them."""
    if options.particles is not None:
        tables, micrographs = of_particles(options)
    else:
        tables, micrographs = _of_picks(options)
    total = sum(map(len, tables.values()))
    if not total:
        raise InputError("there are no coordinates to export")
    # In cisTEM's and cryoSPARC's own units pixels of the whole micrograph are what is to be known.
    moved = {name: _moved(table, name, micrographs, options) for name, table in tables.items()}
    written = _write(moved, micrographs, options, context)
    return JobResult(
        files={"coordinates": written[0] if len(written) == 1 else options.directory},
        values={"picks": total, "micrographs": len(tables)},
        summary=f"{total} coordinates on {len(tables)} micrographs written for {options.to}",
    )


def _of_picks(options: ExportOptions) -> tuple[dict[str, pd.DataFrame], Micrographs]:
    from boxwood.io.coordinates import coordinate_files, read_coordinates
    from boxwood.jobs.manual_pick_files import UNKNOWN

    assert options.coordinates is not None
    micrographs = listed(options.micrographs)
    found = coordinate_files(options.coordinates, micrographs=list(micrographs.pixel_size))
    tables = {name: read_coordinates(path) for name, path in found.items() if name in micrographs.pixel_size}
    if all((table[FOM] == UNKNOWN).all() for table in tables.values() if FOM in table):
        tables = {name: table.drop(columns=FOM, errors="ignore") for name, table in tables.items()}
    if not tables:
        raise InputError(
            f"{options.coordinates} has no coordinates for the micrographs of {options.micrographs}"
        )
    return tables, micrographs


def of_particles(options: ExportOptions) -> tuple[dict[str, pd.DataFrame], Micrographs]:
    """The places of particles by micrograph."""
    from boxwood.io.particles import ParticleSet

    assert options.particles is not None
    particles = ParticleSet.read(options.particles)
    for label in (MICROGRAPH, X, Y):
        if label not in particles.table:
            raise InputError(f"{options.particles} has no _{label}, so there are no places to export")
    micrographs = micrographs_of(particles, options.micrographs)
    table = particles.table
    if options.recenter:
        table = recentred(table, micrographs)
    labels = [label for label in (X, Y, FOM) if label in table]
    groups = table.groupby(MICROGRAPH, sort=False)
    return {str(n): rows[labels].reset_index(drop=True) for n, rows in groups}, micrographs


def listed(path: Path | None) -> Micrographs:
    """Micrographs of a STAR file."""
    from boxwood.io.particles import MicrographSet

    assert path is not None
    found = MicrographSet.read(path)
    names = [str(name) for name in found.table[MICROGRAPH]]
    known = any(label in found.optics for label in found.pixel_labels)
    sizes = found.pixel_sizes().tolist() if known else [None] * len(names)
    return Micrographs(found.root(), dict(zip(names, sizes, strict=True)))


def micrographs_of(particles: ParticleSet, path: Path | None) -> Micrographs:
    """Micrographs that particles are on: those of a STAR file, or as the particles' own file tells."""
    from boxwood.io.optics import per_row

    names = [str(name) for name in particles.table[MICROGRAPH]]
    if path is not None:
        found = listed(path)
        missing = next((name for name in names if name not in found.pixel_size), None)
        if missing:
            raise InputError(f"particles are on {missing}, which is not in {path}; give their micrographs")
        return found
    label = next(
        (n for n in ("rlnMicrographPixelSize", "rlnMicrographOriginalPixelSize") if n in particles.optics),
        None,
    )
    sizes: list[float | None] = [None] * len(names)
    if label:
        sizes = list(per_row(particles.optics, particles.table, label, particles.source, positive=True))
    return Micrographs(particles.root(), dict(zip(names, sizes, strict=True)))


def recentred(table: pd.DataFrame, micrographs: Micrographs) -> pd.DataFrame:
    """The table with places moved by the offsets, which become zero."""
    pixel = np.array([micrographs.pixel(str(name)) for name in table[MICROGRAPH]])
    moved: dict[str, pd.Series | float] = {}
    for place, label in ((X, "rlnOriginXAngst"), (Y, "rlnOriginYAngst")):
        if label in table:
            moved |= {place: table[place] - table[label] / pixel, label: 0.0}
    return table.assign(**moved)


def _moved(table: pd.DataFrame, name: str, micrographs: Micrographs, options: ExportOptions) -> pd.DataFrame:
    from boxwood.imaging.frames import to_reduced, turned_over

    y = turned_over(table[Y], micrographs.shape(name)[0]) if options.flip_y else table[Y]
    binning = options.binning_at(micrographs.pixel_size.get(name)) or 1.0
    x, y = (to_reduced(values, binning, options.averaged) for values in (table[X], y))
    return table.assign(**{X: x, Y: y})


def _write(
    tables: dict[str, pd.DataFrame], micrographs: Micrographs, options: ExportOptions, context: JobContext
) -> list[Path]:
    from boxwood.io.exchange import cbox, cistem_database, text

    folder = options.directory
    if options.to in ("text", "topaz"):
        path = folder / ("coordinates.csv" if options.to == "text" else "coordinates.txt")
        text.write_columns(path, tables, topaz=options.to == "topaz")
        return [path]
    if options.to == "cistem":
        path = folder / "coordinates.txt"
        numbers = _asset_numbers(list(tables), options, context)
        in_angstrom = {
            numbers[name]: table.assign(**{label: table[label] * micrographs.pixel(name) for label in (X, Y)})
            for name, table in tables.items()
            if name in numbers
        }
        cistem_database.write_cistem_positions(path, in_angstrom)
        return [path]
    if options.to == "cryosparc":
        return _write_locations(tables, micrographs, options, context)
    suffix, write = (".box", text.write_box) if options.to == "eman" else (".cbox", cbox.write_cbox)
    made: dict[Path, str] = {}
    for name, table in tables.items():
        path = folder / (Path(name).stem + suffix)
        if made.setdefault(path, name) != name:
            raise InputError(f"{made[path]} and {name} would both be written to {path}; export them apart")
        write(path, table, options.box_size or 0)
    return list(made)


def _asset_numbers(names: list[str], options: ExportOptions, context: JobContext) -> dict[str, int]:
    """cisTEM's numbers of micrographs, by the project's names."""
    from boxwood.io.exchange.cistem_database import read_cistem_micrographs
    from boxwood.io.exchange.micrograph_names import MicrographNames

    if options.database is None:
        raise InputError("cisTEM knows micrographs by numbers; give the database of its project (--database)")
    finder = MicrographNames(names)
    known = read_cistem_micrographs(options.database)
    found = {own: number for name, number in known.items() if (own := finder.find(name)) is not None}
    for name in names:
        if name not in found:
            context.bad(name, f"it is not among the micrographs of {options.database}")
    if not found:
        raise InputError(f"none of the {len(names)} micrographs is in {options.database}")
    return found


def fractions(table: pd.DataFrame, micrographs: Micrographs) -> DoubleArray:
    """Places as parts of the widths and heights of their micrographs, (n, 2)."""
    shapes = {name: micrographs.shape(str(name)) for name in table[MICROGRAPH].unique()}
    size = np.array([shapes[name][::-1] for name in table[MICROGRAPH]], np.float64).reshape(-1, 2)
    return np.asarray(table[[X, Y]].to_numpy(np.float64) / size)


def _write_locations(
    tables: dict[str, pd.DataFrame], micrographs: Micrographs, options: ExportOptions, context: JobContext
) -> list[Path]:
    """Picks as a dataset of cryoSPARC, and the file by which it is imported."""
    from boxwood.io.exchange import cryosparc, cryosparc_write

    seen = exposures(list(tables), micrographs, options, context)
    rows = pd.concat([table.assign(**{MICROGRAPH: name}) for name, table in tables.items() if name in seen])
    names = rows[MICROGRAPH].astype(str).tolist()
    labels = [f"{name} {i}" for i, name in enumerate(names)]
    fields = {"uid": cryosparc_write.uids_of(rows, labels)}
    fields |= cryosparc_write.location_fields(names, fractions(rows, micrographs), seen)
    results = ["location"]
    if FOM in rows:
        fields["pick_stats/ncc_score"] = rows[FOM].fillna(0).to_numpy("<f4")
        results.append("pick_stats")
    path = options.directory / "picked_particles.cs"
    cryosparc.write_dataset(path, fields)
    cryosparc.write_result_group(path.with_suffix(".csg"), path.name, "particle", results, len(rows))
    return [path]


def exposures(
    names: list[str], micrographs: Micrographs, options: ExportOptions, context: JobContext
) -> dict[str, Exposure]:
    """The project's micrographs as cryoSPARC knows them."""
    from boxwood.io.exchange import cryosparc, cryosparc_write
    from boxwood.io.exchange.micrograph_names import MicrographNames

    if options.exposures is None:
        context.log(
            "cryoSPARC will not know these micrographs for its own; give --exposures if it has them already"
        )
        return {
            name: cryosparc_write.Exposure(
                name,
                *micrographs.shape(name)[::-1],
                micrographs.pixel(name),
                cryosparc_write.uid_of(name),
            )
            for name in names
        }
    finder = MicrographNames(names)
    known = cryosparc_write.exposures_of(cryosparc.read_dataset(options.exposures))
    found = {own: e for e in known if (own := finder.find(e.path)) is not None}
    for name in names:
        if name not in found:
            context.bad(name, f"it is not among the exposures of {options.exposures}")
            continue
        ny, nx = micrographs.shape(name)
        e = found[name]
        if abs(nx * e.ny / (ny * e.nx) - 1) > 0.01:
            raise InputError(
                f"{name} is {nx} x {ny} pixels, and {options.exposures} has it {e.nx} x {e.ny}: it is "
                "another image, or turned by 90 degrees"
            )
    if not found:
        raise InputError(f"none of the {len(names)} micrographs is in {options.exposures}")
    return found
