"""Cut particles out of micrographs, rescale and normalise them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import BoxwoodError, InputError, JobError
from boxwood.jobs import extract_tables as tables
from boxwood.jobs import room
from boxwood.jobs.context import JobContext, first_of
from boxwood.jobs.extract_options import ExtractOptions
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.pixel_sizes import compare_with_headers
from boxwood.jobs.with_backend import WithBackend
from boxwood.project.nodes import coordinate_node

if TYPE_CHECKING:
    from boxwood.extraction import CtfCorrection
    from boxwood.io.particles import MicrographSet
    from boxwood.io.star_format import Columns
    from boxwood.typing import FloatArray

# Particles in the gallery, and how many of them one micrograph may give.
GALLERY, GALLERY_PER_MICROGRAPH = 100, 20
# RELION warns where a micrograph has fewer: its noise spectrum would be a poor estimate.
FEW_PARTICLES = 10
LIST = "extractpick.star"
# Characters of a particle in a STAR file, names and a dozen numbers.
ROW_BYTES = 250


@dataclass(frozen=True)
class Extracted:
    """Particles of one micrograph."""

    table: pd.DataFrame
    warnings: tuple[str, ...] = ()
    images: FloatArray | None = None
    total: FloatArray | None = None


def run(options: ExtractOptions, context: JobContext) -> JobResult:
    """Write NAME.mrcs and NAME_extract.star for every micrograph, and particles.star."""
    from boxwood.io.particles import MicrographSet, ParticleSet

    if options.rescale is not None and options.rescale != options.rescaled:
        context.warn(f"rescale is {options.rescale} px, an odd number; {options.rescaled} px is used")
    micrographs = MicrographSet.read(options.micrographs)
    extractor = Extractor(options, context, micrographs)
    names = extractor.names_with_particles()
    context.use(extractor.files.values())
    compare_with_headers({extractor.reads(name): extractor.pixel_size[name] for name in names}, context)
    _doubt_ctf(micrographs, names, context)
    extractor.check_room(names)
    gallery = Gallery()
    parts: dict[str, Columns] = {}
    few = 0
    context.reserve(names)
    for done in context.map(
        extractor.extract, names, what="micrograph", reads=extractor.reads, anywhere=True
    ):
        assert isinstance(done.result, Extracted)  # map leaves failures out
        parts[done.item] = tables.columns(done.result.table)
        few += len(done.result.table) < FEW_PARTICLES
        for text in done.result.warnings:
            context.warn(f"{done.item}: {text}")
        gallery.add(done.result)
    table = tables.joined(list(parts.values()))
    if table.empty:
        raise JobError(f"no particle was extracted from {len(names)} micrographs; look at the warnings")
    if few:
        context.log(
            f"{few} micrographs have fewer than {FEW_PARTICLES} particles; where noise is estimated for each "
            "micrograph, join them into groups"
        )
    optics = tables.optics_of_images(
        extractor.optics, extractor.image_pixel_sizes(table), options, context.dialect
    )
    files = {"particles": context.output / "particles.star"}
    ParticleSet(optics, table).write(files["particles"], dialect=context.dialect)
    if options.reextract is not None:
        _write_coordinate_list(options, context, list(parts))
    if gallery.count:
        with context.picture("particles.png"):
            gallery.draw(context.output / "particles.png")
            files["gallery"] = context.output / "particles.png"
    return JobResult(
        files=files,
        tables={"particles": table, "optics": optics},
        values={"particles": len(table), "micrographs": len(parts), "image_size": options.image_size},
        summary=f"{len(table)} particles of {options.image_size} px extracted from {len(parts)} micrographs",
    )


def _doubt_ctf(micrographs: MicrographSet, names: list[str], context: JobContext) -> None:
    """Warn of micrographs whose CTF fit has failed: their particles cannot be classified with the others."""
    from boxwood.io.particles import ctf_rows

    if not micrographs.has_ctf():
        return
    failed = ~np.isfinite(ctf_rows(micrographs, complete=False)).all(axis=1)
    without = {str(name) for name in micrographs.table["rlnMicrographName"][failed]}
    if found := [name for name in names if name in without]:
        some = "1 micrograph has" if len(found) == 1 else f"{len(found)} micrographs have"
        context.warn(
            f"{some} CTF parameters that are no numbers, so 2D classification will leave out the particles "
            f"on {first_of(found)}"
        )


class Extractor(WithBackend):
    """Extracts one micrograph after the other, in threads."""

    def __init__(self, options: ExtractOptions, context: JobContext, micrographs: MicrographSet) -> None:

        self.options = options
        self.context = context
        self.micrographs = micrographs
        self.optics = micrographs.optics
        self.root = micrographs.root()
        self.rows = {str(name): row for row, name in enumerate(micrographs.table["rlnMicrographName"])}
        sizes = [options.pixel_size] * len(micrographs) if options.pixel_size else micrographs.pixel_sizes()
        self.pixel_size = dict(zip(self.rows, map(float, sizes), strict=True))
        self.reference_pixel_size = options.reference_pixel_size or 1.0
        self.files: dict[str, Path] = {}
        self.refined: dict[str, pd.DataFrame] = {}
        if options.reextract is None:
            self._find_coordinates()
        else:
            self._read_refined(options.reextract)
        # Micrographs side by side need no threads within; a few of them can share what is left.
        self.threads = max(1, context.threads // max(1, len(self.names_with_particles())))
        self.backend = context.backend(options.backend, "extract")

    def reads(self, name: str) -> Path:
        """The file with the micrograph."""
        return self.root / name

    def names_with_particles(self) -> list[str]:
        return [name for name in self.rows if name in self.files or name in self.refined]

    def image_pixel_sizes(self, table: pd.DataFrame) -> dict[int, float]:
        """Pixel size of the images by optics group; RELION 3.1 lists groups without particles, too."""
        first = table.drop_duplicates("rlnOpticsGroup")
        names = dict(zip(first["rlnOpticsGroup"], first["rlnMicrographName"], strict=True))
        sizes = {int(group): self.pixel_size[name] for group, name in names.items()}
        label = next((label for label in self.micrographs.pixel_labels if label in self.optics), None)
        if self.context.dialect == "3.1" and label:
            listed = zip(self.optics["rlnOpticsGroup"], self.optics[label], strict=True)
            sizes = {int(group): float(size) for group, size in listed} | sizes
        factor = self.options.box_size / self.options.rescaled
        return {group: size * factor for group, size in sizes.items()}

    def _find_coordinates(self) -> None:
        from boxwood.io.coordinates import coordinate_files

        assert self.options.coordinates is not None
        found = coordinate_files(self.options.coordinates, micrographs=list(self.rows))
        self.files = {name: path for name, path in found.items() if name in self.rows}
        if not self.files:
            raise InputError(
                f"{self.options.coordinates} has no coordinates for the {len(self.rows)} micrographs of "
                f"{self.options.micrographs}; give the micrographs that were picked"
            )
        missing = len(self.rows) - len(self.files)
        if missing:
            self.context.log(f"{missing} of {len(self.rows)} micrographs have no coordinates and are skipped")

        empty = [path.as_posix() for path in self.files.values() if path.stat().st_size == 0]
        if empty:
            self.context.warn(f"{first_of(empty)}: empty, so nothing was picked there, or the file was lost")

    def _read_refined(self, path: Path) -> None:
        from boxwood.io.particles import ParticleSet

        particles = ParticleSet.read(path)
        for label in ("rlnMicrographName", tables.X, tables.Y):
            if label not in particles.table:
                raise InputError(f"{path} has no _{label}, so its particles cannot be found on micrographs")
        if self.options.recenter and any(self.options.recenter) and not self.options.reference_pixel_size:
            self.reference_pixel_size = float(particles.pixel_sizes()[0])
        if not self.options.keep_micrograph_ctf:
            self.optics = particles.optics
        groups = particles.table.groupby("rlnMicrographName", sort=False)
        self.refined = {str(name): rows.reset_index(drop=True) for name, rows in groups if name in self.rows}
        if not self.refined:
            raise InputError(
                f"none of the particles in {path} is on one of the {len(self.rows)} micrographs in "
                f"{self.options.micrographs}; give the micrographs they came from"
            )
        lost = len(particles) - sum(map(len, self.refined.values()))
        if lost:
            self.context.warn(
                f"{lost} of {len(particles)} particles are on micrographs that are not in "
                f"{self.options.micrographs}"
            )

    def check_room(self, names: list[str]) -> None:
        """Refuse to begin if the particles will not fit on the disk."""
        count = sum(map(self._count, names))
        pixel_bytes = 2 if self.options.float16 else 4
        # Each is in two tables, too.
        needed = count * (self.options.image_size**2 * pixel_bytes + 2 * ROW_BYTES)
        remedy = "give --rescale" if self.options.float16 else "give --float16 or --rescale"
        # Some may have a low figure of merit, or lie outside.
        sure = self.options.min_fom is None and self.options.edge != "drop"
        what = f"{count} particles of {self.options.image_size} px"
        room.check_room(self.context, needed, what, remedy, sure=sure)

    def _count(self, name: str) -> int:
        """Particles of a micrograph that are to be extracted still."""
        from boxwood.io.coordinates import count_coordinates

        if self.context.continuing and self.context.output_path(name, "_extract.star").exists():
            return 0
        if name in self.refined:
            return len(self.refined[name])
        try:
            return count_coordinates(self.files[name])
        except (BoxwoodError, OSError):
            return 0  # it is named when it is read

    def extract(self, name: str) -> Extracted:
        """Cut out the particles of one micrograph and write its two files."""
        from boxwood.io.star import read_star_table, write_star

        stack = self.context.output_path(name, ".mrcs")
        star = self.context.output_path(name, "_extract.star")
        if self.context.continuing and star.exists():
            return Extracted(read_star_table(star, "images") if star.stat().st_size else pd.DataFrame())
        result = self._cut(name, stack)
        # Written last: where it is, the stack is whole.
        write_star(star, {"images": result.table}, dialect=self.context.dialect)
        return result

    def _cut(self, name: str, stack: Path) -> Extracted:
        from boxwood.extraction import Fault, box_centres, extract_particles, overlaps
        from boxwood.io.mrc import StackWriter, read_image

        options, pixel_size, notes = self.options, self.pixel_size[name], []
        image = read_image(self.root / name).data
        table = self._particles(name)
        if not len(table):
            return Extracted(table, ("there are no particles",))
        x, y = (table[label].to_numpy(np.float64) for label in (tables.X, tables.Y))
        inside = overlaps(image.shape, box_centres(x, y)[0], options.box_size)
        if not inside.all():
            notes.append(f"{(~inside).sum()} of {len(table)} particles lie outside and are left out")
            table, x, y = table[inside].reset_index(drop=True), x[inside], y[inside]
        found = extract_particles(
            image,
            x,
            y,
            pixel_size_angstrom=pixel_size,
            box_size=options.box_size,
            rescale=options.rescaled,
            window=options.window,
            normalise=options.normalise,
            background_diameter=options.background_diameter,
            ramp=options.ramp,
            white_dust=options.white_dust,
            black_dust=options.black_dust,
            invert_contrast=options.invert_contrast,
            recentre_subpixel=options.recentre_subpixel,
            edge="drop" if options.edge == "drop" else "replicate",
            ctf=self._ctf(table),
            seed=options.seed,
            threads=self.threads,
            backend=self.backend,
        )
        good = found.faults == Fault.NONE
        for fault, words in (
            (Fault.CONSTANT, "have no contrast"),
            (Fault.NOT_FINITE, "have pixels that are no numbers"),
        ):
            if count := int((found.faults == fault).sum()):
                notes.append(f"{count} particles {words} and are left out")
        if options.edge == "flag":
            table = table.assign(boxwoodTouchesEdge=found.touches_edge.astype(np.int64))
        images = found.images[good] if not good.all() else found.images
        table = table.iloc[found.kept[good]].reset_index(drop=True)
        table["rlnImageName"] = tables.image_names(stack.as_posix(), len(table))
        with StackWriter(stack, found.pixel_size_angstrom, float16=options.float16) as writer:
            writer.append(images)
        few = images[:: max(1, len(images) // GALLERY_PER_MICROGRAPH)][:GALLERY_PER_MICROGRAPH]
        return Extracted(table, tuple(notes), few.copy(), images.sum(axis=0, dtype=np.float64))

    def _particles(self, name: str) -> pd.DataFrame:
        """Table of the particles to cut out, with all columns they will have."""
        from boxwood.io.coordinates import read_coordinates

        if name in self.refined:
            table = tables.recentred(
                self.refined[name], self.options, self.pixel_size[name], self.reference_pixel_size
            )
        else:
            table = read_coordinates(self.files[name])
            if self.options.min_fom is not None and len(table):
                if tables.FOM not in table:
                    raise InputError(f"{self.files[name]} has no _{tables.FOM}; leave out min_fom")
                table = table[table[tables.FOM] > self.options.min_fom].reset_index(drop=True)
        return tables.with_micrograph(
            table,
            self.micrographs.table.iloc[self.rows[name]],
            own_optics=self.optics is not self.micrographs.optics,
            overwrite_ctf=self.options.keep_micrograph_ctf,
        )

    def _ctf(self, table: pd.DataFrame) -> CtfCorrection | None:
        from boxwood.extraction import CtfCorrection
        from boxwood.io.particles import ParticleSet, ctf_rows

        options = self.options
        if not (options.phase_flip or options.premultiply_ctf):
            return None
        rows = ctf_rows(ParticleSet(self.optics, table, str(options.micrographs)))
        return CtfCorrection(
            rows[:1] if (rows == rows[0]).all() else rows,
            flip_only=options.phase_flip,
            intact_first_peak=options.ctf_intact_first_peak,
            box=options.ctf_box_size,
        )


class Gallery:
    """A few particles of the first micrographs, and the mean of all."""

    def __init__(self) -> None:
        self.images: list[FloatArray] = []
        self.total: FloatArray | float = 0.0
        self.count = 0

    def add(self, extracted: Extracted) -> None:
        if extracted.images is None or extracted.total is None:
            return
        if len(self.images) < GALLERY:
            self.images.extend(extracted.images)
        self.total = self.total + extracted.total
        self.count += len(extracted.table)

    def draw(self, path: Path) -> None:
        from boxwood.report.particles import draw_particles

        draw_particles(path, np.stack(self.images[:GALLERY]), np.asarray(self.total) / self.count, self.count)


def _write_coordinate_list(options: ExtractOptions, context: JobContext, names: list[str]) -> None:
    """The coordinates extracted again, as RELION hands them on."""
    from boxwood.io.coordinates import coordinate_path, write_coordinate_list, write_coords_suffix

    if context.dialect == "3.1":
        write_coords_suffix(context.output, "extract", options.micrographs)
        return
    files = {name: coordinate_path(context.output, name, "extract") for name in names}
    write_coordinate_list(context.output / LIST, files, dialect=context.dialect)


def _makes(options: ExtractOptions, dialect: str) -> dict[str, str]:
    again = coordinate_node(dialect, "extract", LIST) if options.reextract is not None else {}
    return {"particles.star": "particles", **again}


JOB = Job(
    name="extract",
    folder="Extract",
    options=ExtractOptions,
    run=run,
    process=5,
    label=lambda options: "relion.extract" if options.reextract is None else "relion.extract.reextract",
    # More micrographs may have come; all else is in the stacks that are there.
    keeps=lambda options: [o.name for o in options.declared() if o.name not in ("micrographs", "backend")],
    makes=_makes,
    not_on_workers=lambda options: "",
)
