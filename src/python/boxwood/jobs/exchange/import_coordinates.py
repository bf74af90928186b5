"""Coordinates of other programs become those of the project's micrographs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.import_options import ImportOptions
from boxwood.jobs.exchange.stack_files import roots
from boxwood.jobs.job import JobResult

if TYPE_CHECKING:
    from boxwood.io.exchange.micrograph_names import MicrographNames
    from boxwood.io.exchange.picks import Picks
    from boxwood.io.particles import MicrographSet

X, Y, FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"
PICK_NAME, LIST = "import", "coordinates.star"
PICTURES = 5
# Width and height of one micrograph agree to this with what another program says, apart from rounding.
_SAME_SHAPE = 0.01


def import_coordinates(
    files: list[Path], kind: str, options: ImportOptions, context: JobContext
) -> JobResult:
    """Write NAME_import.star for every micrograph that has particles, and the list of them."""
    from boxwood.io.coordinates import write_coordinates

    if options.micrographs is None:
        raise InputError("coordinates are on micrographs; give their STAR file with --micrographs")
    place = Placer(options)
    found = list(read_picks(files, kind, options))
    refuse_binning(any(picks.size or picks.unit_angstrom for picks in found), files[0], options)
    matched, unknown = match(found, place.names)
    if not matched:
        raise InputError(
            f"none of the {len(unknown)} micrographs in {files[0]} is one of the {len(place.pixel_size)} in "
            f"{options.micrographs}, for example {next(iter(unknown))} and {next(iter(place.pixel_size))}; "
            f"see --strip-prefix and --strip-suffix{' and --micrograph-column' * (kind == 'text')}"
        )
    for name in unknown:
        context.bad(name, f"it is not among the micrographs of {options.micrographs}")
    order = [name for name in place.pixel_size if name in matched]
    drawn = set(order[:PICTURES])
    context.reserve(order)

    def bring(name: str) -> Brought:
        brought = place.bring(name, matched[name])
        write_coordinates(
            context.output_path(name, f"_{PICK_NAME}.star"), brought.table, dialect=context.dialect
        )
        return brought

    done: dict[str, Brought] = {}
    for result in context.map(bring, order, what="micrograph"):
        done[result.item] = result.result
        if result.item in drawn:
            _draw(place, result.item, result.result, context)
    _check_inside(done, options, context)
    total = sum(len(brought.table) for brought in done.values())
    return JobResult(
        files=_write_lists(options, context, list(done)),
        values={"picks": total, "micrographs": len(done)},
        summary=f"{total} coordinates imported for {len(done)} of {len(place.pixel_size)} micrographs",
    )


def read_picks(files: Iterable[Path], kind: str, options: ImportOptions) -> Iterator[Picks]:
    """The particles of every micrograph in every file, with a score that is high enough."""
    for path in files:
        for picks in _read(path, kind, options):
            table = picks.table
            if options.min_score is not None and len(table):
                if FOM not in table:
                    raise InputError(f"{path} has no scores; leave out min_score, or name their column")
                table = table[table[FOM] >= options.min_score].reset_index(drop=True)
            yield _replaced(picks, table)


def _read(path: Path, kind: str, options: ImportOptions) -> list[Picks]:
    from boxwood.io.exchange import cistem, cistem_database, cryosparc, cryosparc_particles
    from boxwood.io.exchange.cbox import read_cbox
    from boxwood.io.exchange.relion import read_star_picks
    from boxwood.io.exchange.text import TextColumns, read_box, read_text

    if kind == "cryosparc":
        return cryosparc_particles.picks_of(cryosparc.read_dataset(path, options.passthrough))
    if kind == "cistem":
        database = path.suffix.lower() == ".db"
        return (cistem_database.read_cistem_database if database else cistem.read_cistem_picks)(path)
    if kind == "star":
        return read_star_picks(path)
    if kind in ("eman", "cbox"):
        return [(read_box if kind == "eman" else read_cbox)(path)]
    columns = TextColumns(options.x_column, options.y_column, options.micrograph_column, options.score_column)
    found = read_text(path, columns, topaz=kind == "topaz")
    half = (options.corner_box or 0.0) / 2
    return [
        _replaced(picks, picks.table.assign(**{label: picks.table[label] + half for label in (X, Y)}))
        for picks in found
    ]


def refuse_binning(known: bool, path: Path, options: ImportOptions) -> None:
    """Refuse to be told what coordinates count in, where that is known."""
    if known and (options.binning or options.coordinate_pixel_size):
        raise InputError(
            f"{path} says itself what its coordinates count in; leave out binning and coordinate_pixel_size"
        )


def _replaced(picks: Picks, table: pd.DataFrame) -> Picks:
    return replace(picks, table=table)


def match(found: Iterable[Picks], names: MicrographNames) -> tuple[dict[str, list[Picks]], dict[str, None]]:
    """Picks by the project's names of micrographs, and the names that are none of them."""
    matched: dict[str, list[Picks]] = {}
    unknown: dict[str, None] = {}
    for picks in found:
        name = names.find(picks.micrograph)
        if name is None:
            unknown[picks.micrograph] = None
        else:
            matched.setdefault(name, []).append(picks)
    return matched, unknown


@dataclass(frozen=True)
class Brought:
    """Coordinates of one micrograph of the project.

    Attributes
    ----------
    table : DataFrame
    outside : int
        How many lie outside the micrograph.
    diameter : float
        Pixels, for pictures.
    """

    table: pd.DataFrame
    outside: int
    diameter: float


class Placer:
    """Brings coordinates into the frame of the project's micrographs."""

    def __init__(self, options: ImportOptions) -> None:
        from boxwood.io.exchange.micrograph_names import MicrographNames
        from boxwood.io.particles import MicrographSet

        assert options.micrographs is not None
        self.options = options
        micrographs = MicrographSet.read(options.micrographs)
        self.root = micrographs.root()
        listed = [str(name) for name in micrographs.table["rlnMicrographName"]]
        self.pixel_size = dict(zip(listed, _pixel_sizes(micrographs), strict=True))
        self.names = MicrographNames(
            listed,
            self.root,
            foreign_roots=roots(options),
            strip_prefix=options.strip_prefix or "",
            strip_suffix=options.strip_suffix or "",
        )

    def shape(self, name: str) -> tuple[int, int]:
        """Height and width of a micrograph."""
        from boxwood.io.mrc import read_stack

        ny, nx = read_stack(self.root / name).shape[1:]
        return ny, nx

    def bring(self, name: str, found: list[Picks]) -> Brought:
        """Coordinates on the project's micrograph `name`."""
        ny, nx = self.shape(name)
        tables, diameter = [], min(nx, ny) / 25
        for picks in found:
            factors = self.factors(name, (ny, nx), picks.size, picks.unit_angstrom, picks.source)
            tables.append(self.moved(picks.table, factors, ny))
            diameter = picks.diameter * factors[0] if picks.diameter else diameter
        table = pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]
        x, y = table[X], table[Y]
        inside = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
        return Brought(table, int((~inside).sum()), diameter)

    def factors(
        self,
        name: str,
        shape: tuple[int, int],
        size: tuple[float, float] | None,
        unit_angstrom: float | None,
        source: str,
    ) -> tuple[float, float]:
        """Pixels of the micrograph in one unit of x and of y.

        Raises
        ------
        InputError
            The other program's micrograph is of another shape, or a pixel size is not known.
        """
        pixel = self.pixel_size[name]
        if unit_angstrom is not None:
            if pixel is None:
                raise InputError(f"{name} has no pixel size, which coordinates in Angstrom need; add it")
            return unit_angstrom / pixel, unit_angstrom / pixel
        if size is None:
            given = self.options.binning_at(pixel) or 1.0
            return given, given
        ny, nx = shape
        across, down = nx / size[0], ny / size[1]
        if size != (1, 1) and abs(across / down - 1) > _SAME_SHAPE:
            raise InputError(
                f"{name} is {nx} x {ny} pixels, and {source} has it {size[0]:g} x {size[1]:g}: it is another "
                "image, or turned by 90 degrees"
            )
        return across, down

    def moved(self, table: pd.DataFrame, factors: tuple[float, float], height: int) -> pd.DataFrame:
        from boxwood.imaging.frames import from_reduced, turned_over

        pairs = zip((X, Y), factors, strict=True)
        x, y = (from_reduced(table[label], factor, self.options.averaged) for label, factor in pairs)
        return table.assign(**{X: x, Y: turned_over(y, height) if self.options.flip_y else y})


def _pixel_sizes(micrographs: MicrographSet) -> list[float | None]:
    if not any(label in micrographs.optics for label in micrographs.pixel_labels):
        return [None] * len(micrographs)
    return [float(size) for size in micrographs.pixel_sizes()]


def _check_inside(done: dict[str, Brought], options: ImportOptions, context: JobContext) -> None:
    total = sum(len(brought.table) for brought in done.values())
    outside = sum(brought.outside for brought in done.values())
    if not outside:
        return
    text = (
        f"{outside} of {total} coordinates lie outside their micrographs; are they of a reduced micrograph "
        "(--binning), or x and y exchanged (--x-column)?"
    )
    if 2 * outside > total:
        raise InputError(text)
    context.warn(text)


def _write_lists(options: ImportOptions, context: JobContext, names: list[str]) -> dict[str, Path]:
    """The file that RELION hands to extraction; its form depends on RELION's generation."""
    from boxwood.io.coordinates import coordinate_path, write_coordinate_list, write_coords_suffix

    assert options.micrographs is not None
    if context.dialect == "3.1":
        path = write_coords_suffix(context.output, PICK_NAME, options.micrographs)
    else:
        path = context.output / LIST
        files = {name: coordinate_path(context.output, name, PICK_NAME).as_posix() for name in names}
        write_coordinate_list(path, files, dialect=context.dialect)
    return {"coordinates": path}


def _draw(place: Placer, name: str, brought: Brought, context: JobContext) -> None:
    path = context.output_path(name, f"_{PICK_NAME}.png")
    with context.picture(path.name):
        from boxwood.io.mrc import read_image
        from boxwood.report.picks import draw_picks, preview

        table = brought.table
        draw_picks(
            path,
            *preview(read_image(place.root / name).data, place.pixel_size[name] or 1.0),
            table[X],
            table[Y],
            brought.diameter,
            f"{Path(name).name}: {len(table)} imported",
            fom=table[FOM] if FOM in table and table[FOM].nunique() > 1 else None,
        )
