"""Pick particles on micrographs by their diameter (Laplacian of Gaussian)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import InputError
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.project.names import below_job

if TYPE_CHECKING:
    from boxwood.io.particles import MicrographSet
    from boxwood.picking import FomMaps, Picks
    from boxwood.typing import DoubleArray, FloatArray

# Micrographs that get a picture of their picks.
PICTURES = 5
_X, _Y, _FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"


@dataclass(frozen=True)
class Picked:
    """Picks of one micrograph, and what is needed to draw them."""

    table: pd.DataFrame
    path: Path
    reason: str = ""
    diameter_px: DoubleArray | None = None
    preview: tuple[FloatArray, int] | None = None


def run(options: AutopickOptions, context: JobContext) -> JobResult:
    """Write NAME_autopick.star for every micrograph, the list of them, and summary.star."""
    from boxwood.io.particles import MicrographSet

    micrographs = MicrographSet.read(options.micrographs)
    names = [str(name) for name in micrographs.table["rlnMicrographName"]]
    picker = Picker(options, context, micrographs, names)
    picked: dict[str, Picked] = {}
    context.reserve(names)
    for done in context.map(picker.pick, names, what="micrograph", reads=picker.reads):
        picked[done.item] = done.result
        if done.result.reason:
            context.log(f"{done.item}: no picks, because {done.result.reason}")
        _draw(context, done.item, done.result)
    summary = _summary(picked)
    files = {"coordinates": _write_list(options, context, picked), "summary": context.output / "summary.star"}
    _write_table(files["summary"], summary, context)
    total = int(summary["rlnGroupNrParticles"].sum())
    fom = np.concatenate([result.table[_FOM].to_numpy(np.float64) for result in picked.values()] or [[]])
    if len(fom):
        with context.picture("autopick.png"):
            from boxwood.report.picks import draw_pick_statistics

            draw_pick_statistics(context.output / "autopick.png", fom, summary["rlnGroupNrParticles"])
            files["statistics"] = context.output / "autopick.png"
    return JobResult(
        files=files,
        tables={"summary": summary},
        values={"picks": total, "micrographs": len(picked)},
        summary=f"{total} particles picked on {len(picked)} micrographs",
    )


class Picker:
    """Picks one micrograph after the other, in threads."""

    def __init__(
        self, options: AutopickOptions, context: JobContext, micrographs: MicrographSet, names: list[str]
    ) -> None:
        self.options = options
        self.context = context
        self.root = micrographs.root()
        self.pixel_size = dict(zip(names, _pixel_sizes(micrographs, options.pixel_size), strict=True))
        # Micrographs side by side need no threads within; a few of them can share what is left.
        self.threads = max(1, context.threads // max(1, len(names)))
        self.drawn = set(names[:PICTURES])

    def reads(self, name: str) -> Path | None:
        """The file with the micrograph, if its pixels are needed."""
        return None if self.options.read_fom_maps or self._finished(name) else self.root / name

    def pick(self, name: str) -> Picked:
        path = self.context.output_path(name, "_autopick.star")
        if self._finished(name):
            return Picked(_earlier(path), path)
        picks, preview = self._read_maps(name) if self.options.read_fom_maps else self._filter(name)
        table = pd.DataFrame(
            {_X: picks.x, _Y: picks.y, _FOM: picks.fom, "rlnClassNumber": 0, "rlnAnglePsi": 0.0}
        )
        from boxwood.io.coordinates import write_coordinates

        write_coordinates(path, table, dialect=self.context.dialect)
        return Picked(table, path, picks.reason, picks.diameter / self.pixel_size[name], preview)

    def _filter(self, name: str) -> tuple[Picks, tuple[FloatArray, int] | None]:
        from boxwood.io.mrc import read_image
        from boxwood.picking import pick_log
        from boxwood.report.picks import preview

        options, image = self.options, read_image(self.root / name).data
        picks = pick_log(
            image,
            self.pixel_size[name],
            min_diameter=options.min_diameter,
            max_diameter=options.max_diameter,
            max_resolution=options.max_resolution,
            threshold_offset=options.threshold_offset,
            upper_threshold=options.upper_threshold,
            white_particles=options.white_particles,
            min_distance=options.min_distance,
            neighbour_percent=options.neighbour_percent,
            skip_side=options.skip_side,
            shrink=options.shrink,
            return_fom_maps=options.write_fom_maps,
            # The name below its job alone, so that picks stay the same wherever it is in whichever list.
            seed=(options.seed << 32) + zlib.crc32(str(below_job(name)).encode()),
            threads=self.threads,
        )
        if picks.fom_maps is not None:
            self._write_maps(name, picks.fom_maps)
        return picks, preview(image, self.pixel_size[name]) if name in self.drawn else None

    def _map_paths(self, name: str) -> tuple[Path, Path]:
        return (
            self.context.output_path(name, "_autopick_bestLoG.mrc"),
            self.context.output_path(name, "_autopick_bestSize.mrc"),
        )

    def _finished(self, name: str) -> bool:
        """Whether the job that is continued has picked it."""
        if not self.context.continuing or self.options.read_fom_maps:
            return False
        maps = self._map_paths(name) if self.options.write_fom_maps else ()
        files = (self.context.output_path(name, "_autopick.star"), *maps)
        return all(file.exists() for file in files)

    def _write_maps(self, name: str, maps: FomMaps) -> None:
        from boxwood.io.mrc import write_stack

        for path, values in zip(self._map_paths(name), (maps.best, maps.size), strict=True):
            write_stack(path, values, maps.pixel_size_angstrom / maps.scale)

    def _read_maps(self, name: str) -> tuple[Picks, tuple[FloatArray, int] | None]:
        from boxwood.io.mrc import read_image, read_stack
        from boxwood.picking import FomMaps, find_peaks
        from boxwood.picking.geometry import working_size
        from boxwood.report.picks import preview

        options, pixel = self.options, self.pixel_size[name]
        paths = self._map_paths(name)
        for path in paths:
            if not path.exists():
                raise InputError(f"{path} is not there; run with write_fom_maps, then continue that job")
        best, size = (read_image(path).data for path in paths)
        micrograph = read_stack(self.root / name)  # its pixels are read only to be drawn
        shape = micrograph.shape[1:]
        wanted = working_size(max(shape), pixel, options.max_resolution, options.shrink)
        if best.shape != (wanted, wanted) or size.shape != best.shape:
            raise InputError(
                f"{paths[0]} has {best.shape[1]} x {best.shape[0]} pixels, and the finest detail asked for "
                f"needs {wanted} x {wanted}; run this job with write_fom_maps again"
            )
        maps = FomMaps(best, size, shape, pixel, options.min_diameter, options.max_diameter)
        return (
            find_peaks(
                maps,
                threshold_offset=options.threshold_offset,
                upper_threshold=options.upper_threshold,
                min_distance=options.min_distance,
                neighbour_percent=options.neighbour_percent,
                skip_side=options.skip_side,
            ),
            preview(micrograph[0], pixel) if name in self.drawn else None,
        )


def _pixel_sizes(micrographs: MicrographSet, given: float | None) -> list[float]:
    if given is not None and not any(label in micrographs.optics for label in micrographs.pixel_labels):
        return [given] * len(micrographs)
    sizes: list[float] = micrographs.pixel_sizes().tolist()
    return sizes


def _earlier(path: Path) -> pd.DataFrame:
    from boxwood.io.coordinates import read_coordinates

    table = read_coordinates(path)
    return table if _FOM in table else table.assign(**{_FOM: pd.Series(dtype=np.float64)})


def _summary(picked: dict[str, Picked]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rlnMicrographName": list(picked),
            _FOM: [float(p.table[_FOM].mean()) if len(p.table) else 0.0 for p in picked.values()],
            "rlnGroupNrParticles": [len(p.table) for p in picked.values()],
        }
    )


def _write_table(path: Path, table: pd.DataFrame, context: JobContext) -> None:
    from boxwood.io.star import write_star

    write_star(path, {"": table}, dialect=context.dialect)


def _write_list(options: AutopickOptions, context: JobContext, picked: dict[str, Picked]) -> Path:
    """The file that RELION hands to extraction; its form depends on RELION's generation."""
    from boxwood.io.coordinates import write_coordinate_list, write_coords_suffix

    if context.dialect == "3.1":
        path = write_coords_suffix(context.output, "autopick", options.micrographs)
        context.add_output(path, "coordinates_suffix")
        return path
    path = context.output / "autopick.star"
    files = {name: result.path.as_posix() for name, result in picked.items()}
    write_coordinate_list(path, files, dialect=context.dialect)
    context.add_output(path, "coordinates_list")
    return path


def _draw(context: JobContext, name: str, result: Picked) -> None:
    if result.preview is None or result.diameter_px is None:
        return
    path = context.output_path(name, "_autopick.png")
    with context.picture(path.name):
        from boxwood.report.picks import draw_picks

        draw_picks(
            path,
            *result.preview,
            result.table[_X],
            result.table[_Y],
            result.diameter_px,
            f"{Path(name).name}: {len(result.table)} picks",
            fom=result.table[_FOM],
        )


def _keeps(options: AutopickOptions) -> list[str]:
    """Options that decide the picks; all may change where every micrograph is picked again from its maps."""
    changeable = ("micrographs", "write_fom_maps", "read_fom_maps")
    return [o.name for o in options.declared() if o.name not in changeable and not options.read_fom_maps]


JOB = Job(
    name="autopick",
    folder="AutoPick",
    options=AutopickOptions,
    run=run,
    process=4,
    label="relion.autopick.log",
    joboptions={
        "do_log": "Yes",
        "do_refs": "No",
        "do_ref3d": "No",
        "do_topaz": "No",
        "continue_manual": "No",
    },
    keeps=_keeps,
)
