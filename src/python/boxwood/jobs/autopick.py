"""Pick particles on micrographs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.jobs import autopick_maps
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.pixel_sizes import compare_with_headers
from boxwood.jobs.with_backend import WithBackend
from boxwood.project.nodes import coordinate_node

if TYPE_CHECKING:
    from boxwood.io.particles import MicrographSet
    from boxwood.jobs.template_picking import TemplatePicker
    from boxwood.picking import FomMaps
    from boxwood.picking.adaptive import AdaptiveModel
    from boxwood.picking.templates import MatchedModel
    from boxwood.typing import DoubleArray, FloatArray

    Preview = tuple[FloatArray, int] | None

# Micrographs that get a picture of their picks.
PICTURES = 5
# Picks that are aligned together: enough for good class averages, few enough for the memory.
ALIGNED_TOGETHER = 25_000
_X, _Y, _FOM = "rlnCoordinateX", "rlnCoordinateY", "rlnAutopickFigureOfMerit"


@dataclass(frozen=True)
class Picked:
    """Picks of one micrograph, and what is needed to draw them."""

    table: pd.DataFrame
    path: Path
    reason: str = ""
    diameter_px: DoubleArray | None = None
    preview: Preview = None


def run(options: AutopickOptions, context: JobContext) -> JobResult:
    """Write NAME_autopick.star for every micrograph, the list of them, and summary.star."""
    from boxwood.io.particles import MicrographSet

    micrographs = MicrographSet.read(options.micrographs)
    names = [str(name) for name in micrographs.table["rlnMicrographName"]]
    picker = Picker(options, context, micrographs, names)
    compare_with_headers({picker.root / name: size for name, size in picker.pixel_size.items()}, context)
    picker.prepare(micrographs)
    # Of micrographs by the thousand, only their figures of merit are kept.
    merits: dict[str, DoubleArray] = {}
    context.reserve(names)
    for name, result in picker.picks(names):
        merits[name] = result.table[_FOM].to_numpy(np.float64, copy=True)
        _draw(context, name, result)
    summary = _summary(merits)
    files = {
        "coordinates": write_list(options.micrographs, context, merits),
        "summary": context.output / "summary.star",
    }
    _write_table(files["summary"], summary, context)
    total = int(summary["rlnGroupNrParticles"].sum())
    fom = np.concatenate([*merits.values(), np.zeros(0)])
    if len(fom):
        with context.picture("autopick.png"):
            from boxwood.report.picks import draw_pick_statistics

            draw_pick_statistics(context.output / "autopick.png", fom, summary["rlnGroupNrParticles"])
            files["statistics"] = context.output / "autopick.png"
    return JobResult(
        files=files,
        tables={"summary": summary},
        values={"picks": total, "micrographs": len(merits)},
        summary=f"{total} particles picked on {len(merits)} micrographs",
    )


class Picker(WithBackend):
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
        backend = options.backend if options.method == "log" else "cpu"
        self.backend = context.backend(backend, "log_pick_maps")
        self.drawn = set(names[:PICTURES])
        self.model: AdaptiveModel | None = None
        self.without_model = "nothing like a particle was found to learn from"
        self.templates: TemplatePicker | None = None

    def prepare(self, micrographs: MicrographSet) -> None:
        """Get the model of the adaptive method, or the references of templates."""
        if self.options.method == "adaptive":
            from boxwood.jobs.adaptive_picking import model_for

            files = {name: self.root / name for name in self.pixel_size}
            self.model = model_for(self.options, self.context, files, self.pixel_size)
            if self.model is not None and not (self.model.convincing or self.options.doubtful):
                self.model, self.without_model = None, "what was learned is not convincing"
        elif self.options.method == "template" and self.pixel_size:
            from boxwood.jobs.template_picking import TemplatePicker

            self.templates = TemplatePicker(self.options, self.context, micrographs, self.pixel_size)
            if self.options.score == "whitened":
                self.templates.get_model({name: self.root / name for name in self.pixel_size})

    def reads(self, name: str) -> Path | None:
        """The file with the micrograph, if its pixels are needed."""
        return None if self.options.read_fom_maps or self._finished(name) else self.root / name

    def picks(self, names: list[str]) -> Iterator[tuple[str, Picked]]:
        """The micrographs and their picks, in order, as they will stay."""
        waiting: dict[str, Picked] = {}  # to be aligned
        count = 0
        for done in self.context.map(self.pick, names, what="micrograph", reads=self.reads, anywhere=True):
            if done.result.reason:
                self.context.log(f"{done.item}: no picks, because {done.result.reason}")
            if not self.aligns:
                yield done.item, done.result
                continue
            waiting[done.item] = done.result
            count += len(done.result.table)
            if count >= 2 * ALIGNED_TOGETHER:  # so that no small rest is ever left
                part = first_of(waiting, ALIGNED_TOGETHER)
                yield from self.align(part).items()
                waiting = {name: result for name, result in waiting.items() if name not in part}
                count = sum(len(result.table) for result in waiting.values())
        if waiting:
            yield from self.align(waiting).items()

    def pick(self, name: str) -> Picked:
        path = self.context.output_path(name, "_autopick.star")
        if self._finished(name):
            return Picked(_earlier(path), path)
        from boxwood.io.coordinates import write_coordinates

        method = {"adaptive": self._adaptive, "template": self._template, "log": self._log}
        picked = method[self.options.method](name, path)
        if not self.aligns:  # or they are written once they are aligned
            write_coordinates(path, picked.table, dialect=self.context.dialect)
        return picked

    def align(self, picked: dict[str, Picked]) -> dict[str, Picked]:
        """Centre the picks of this run on their class averages, and write them."""
        from boxwood.io.coordinates import write_coordinates
        from boxwood.jobs.adaptive_align import align
        from boxwood.picking.adaptive.model import DISTANCE

        model, distance = self._aligned_by, self.options.min_distance
        assert model is not None
        distance = DISTANCE * model.diameter_angstrom if distance is None else distance
        files = {name: self.root / name for name in picked}
        fresh = {name: result.table for name, result in picked.items() if not self._finished(name)}
        moved = align(fresh, files, self.pixel_size, model, distance, self.context)
        gone = sum(len(table) - len(moved[name]) for name, table in fresh.items())
        if gone:
            self.context.log(
                f"{gone} picks came nearer than {distance:.0f} A to better ones, and were dropped"
            )
        for name, table in moved.items():
            write_coordinates(picked[name].path, table, dialect=self.context.dialect)
        return picked | {name: replace(picked[name], table=table) for name, table in moved.items()}

    @property
    def aligns(self) -> bool:
        """Whether picks are to be aligned."""
        return self.options.align and self._aligned_by is not None

    @property
    def _aligned_by(self) -> AdaptiveModel | MatchedModel | None:
        return self.templates.matched if self.templates is not None else self.model

    def _log(self, name: str, path: Path) -> Picked:
        maps, preview = self._read_maps(name) if self.options.read_fom_maps else self._filter(name)
        picks = autopick_maps.pick(maps, self.options, backend=self.backend)
        table = pd.DataFrame(
            {_X: picks.x, _Y: picks.y, _FOM: picks.fom, "rlnClassNumber": 0, "rlnAnglePsi": 0.0}
        )
        return Picked(table, path, picks.reason, picks.diameter / self.pixel_size[name], preview)

    def _adaptive(self, name: str, path: Path) -> Picked:
        from boxwood.io.mrc import read_image
        from boxwood.jobs.adaptive_picking import columns, pick
        from boxwood.report.picks import preview

        if self.model is None:
            return Picked(columns(None), path, self.without_model)
        image, pixel = read_image(self.root / name).data, self.pixel_size[name]
        picks = pick(image, pixel, self.model, self.options, self.threads)
        size = np.array([self.model.particle_diameter_angstrom / pixel])
        shown = preview(image, pixel) if name in self.drawn else None
        return Picked(columns(picks), path, picks.reason, size, shown)

    def _template(self, name: str, path: Path) -> Picked:
        from boxwood.io.mrc import read_stack
        from boxwood.jobs.template_picking import columns, write_maps
        from boxwood.report.picks import preview

        assert self.templates is not None
        if self.options.score == "whitened":
            return self._matched(name, path)
        micrograph, files = read_stack(self.root / name), self._map_paths(name)
        if self.options.read_fom_maps:  # its pixels are read only to be drawn
            maps = self.templates.read_maps(name, files, micrograph.shape[1:])
        else:
            maps = self.templates.maps(name, micrograph[0], self.threads)
            if self.options.write_fom_maps:
                write_maps(files, maps)
        picks, pixel = self.templates.pick(name, maps), self.pixel_size[name]
        size = np.full(len(picks), 2.0 * self.templates.references(name).radius_px)
        shown = preview(micrograph[0], pixel) if name in self.drawn else None
        return Picked(columns(picks), path, picks.reason, size, shown)

    def _matched(self, name: str, path: Path) -> Picked:
        from boxwood.io.mrc import read_image
        from boxwood.report.picks import preview

        assert self.templates is not None
        image, pixel = read_image(self.root / name).data, self.pixel_size[name]
        table, reason = self.templates.match(name, image, self.threads)
        size = np.array([self.templates.matched.diameter_angstrom / pixel])
        return Picked(table, path, reason, size, preview(image, pixel) if name in self.drawn else None)

    def _filter(self, name: str) -> tuple[FomMaps, Preview]:
        from boxwood.io.mrc import read_image
        from boxwood.report.picks import preview

        image, pixel = read_image(self.root / name).data, self.pixel_size[name]
        maps = autopick_maps.make_maps(self.options, image, name, pixel, self.threads, self.backend)
        if self.options.write_fom_maps:
            autopick_maps.write_maps(self._map_paths(name).values(), maps)
        return maps, preview(image, pixel) if name in self.drawn else None

    def _map_paths(self, name: str) -> dict[str, Path]:
        """Files of a micrograph's maps, by what they hold."""
        ends = {"best": autopick_maps.BEST, "size": autopick_maps.SIZE}
        if self.options.method == "template":
            from boxwood.jobs.template_picking import MAPS as ends
        return {kind: self.context.output_path(name, end) for kind, end in ends.items()}

    def _finished(self, name: str) -> bool:
        """Whether the job that is continued has picked it."""
        if not self.context.continuing or self.options.read_fom_maps:
            return False
        maps = self._map_paths(name).values() if self.options.write_fom_maps else ()
        files = (self.context.output_path(name, "_autopick.star"), *maps)
        return all(file.exists() for file in files)

    def _read_maps(self, name: str) -> tuple[FomMaps, Preview]:
        from boxwood.io.mrc import read_stack
        from boxwood.report.picks import preview

        pixel = self.pixel_size[name]
        micrograph = read_stack(self.root / name)  # its pixels are read only to be drawn
        maps = autopick_maps.read_maps(
            self.options, tuple(self._map_paths(name).values()), micrograph.shape[1:], pixel
        )
        return maps, preview(micrograph[0], pixel) if name in self.drawn else None


def first_of(picked: dict[str, Picked], picks: int) -> dict[str, Picked]:
    """The first micrographs with so many picks or a few more."""
    chosen: dict[str, Picked] = {}
    for name, result in picked.items():
        if picks <= 0:
            break
        chosen[name] = result
        picks -= len(result.table)
    return chosen


def _pixel_sizes(micrographs: MicrographSet, given: float | None) -> list[float]:
    if given is not None and not any(label in micrographs.optics for label in micrographs.pixel_labels):
        return [given] * len(micrographs)
    sizes: list[float] = micrographs.pixel_sizes().tolist()
    return sizes


def _earlier(path: Path) -> pd.DataFrame:
    from boxwood.io.coordinates import read_coordinates

    table = read_coordinates(path)
    return table if _FOM in table else table.assign(**{_FOM: pd.Series(dtype=np.float64)})


def _summary(merits: dict[str, DoubleArray]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "rlnMicrographName": list(merits),
            _FOM: [float(fom.mean()) if len(fom) else 0.0 for fom in merits.values()],
            "rlnGroupNrParticles": [len(fom) for fom in merits.values()],
        }
    )


def _write_table(path: Path, table: pd.DataFrame, context: JobContext) -> None:
    from boxwood.io.star import write_star

    write_star(path, {"": table}, dialect=context.dialect)


def write_list(micrographs: Path, context: JobContext, names: Iterable[str]) -> Path:
    """The file that RELION hands to extraction; its form depends on RELION's generation."""
    from boxwood.io.coordinates import write_coordinate_list, write_coords_suffix

    if context.dialect == "3.1":
        return write_coords_suffix(context.output, "autopick", micrographs)
    path = context.output / "autopick.star"
    files = {name: context.output_path(name, "_autopick.star").as_posix() for name in names}
    write_coordinate_list(path, files, dialect=context.dialect)
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
    changeable = ("micrographs", "backend", "write_fom_maps", "read_fom_maps")
    return [o.name for o in options.declared() if o.name not in changeable and not options.read_fom_maps]


JOB = Job(
    name="autopick",
    folder="AutoPick",
    options=AutopickOptions,
    run=run,
    process=4,
    label=lambda options: f"relion.autopick.{'ref2d' if options.method == 'template' else 'log'}",
    of_relion={"score": "relion"},
    joboptions={
        "do_ref3d": "No",
        "do_topaz": "No",
        "continue_manual": "No",
    },
    keeps=_keeps,
    makes=lambda options, dialect: coordinate_node(dialect, "autopick", "autopick.star"),
    not_on_workers=lambda options: "the alignment of picks" if options.align else "",
)
