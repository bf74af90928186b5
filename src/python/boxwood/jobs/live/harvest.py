"""From new micrographs to particles, by the same steps as `autopick` and `extract`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pandas as pd

from boxwood.errors import BoxwoodError, JobError
from boxwood.execution import Failure, map_ordered
from boxwood.jobs.autopick import Picker
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.jobs.context import JobContext
from boxwood.jobs.defaults import Sizes
from boxwood.jobs.extract import Extractor
from boxwood.jobs.extract_options import ExtractOptions
from boxwood.jobs.extract_tables import optics_of_images
from boxwood.jobs.live.arrivals import Arrivals, one_line
from boxwood.jobs.live.options import LiveOptions
from boxwood.jobs.pixel_sizes import compare_with_headers

if TYPE_CHECKING:
    from boxwood.jobs.template_picking import TemplatePicker
    from boxwood.picking.adaptive import AdaptiveModel
    from boxwood.picking.templates import MatchedModel


class Harvest:
    """Picks and extracts micrographs; files that an earlier run has made are read instead."""

    def __init__(self, options: LiveOptions, context: JobContext, sizes: Sizes) -> None:
        from boxwood.io.coordinates import write_coords_suffix

        self.context = context
        own = context.output / "micrographs.star"
        # RELION 3 finds coordinates by it, and so does the extraction.
        list_file = write_coords_suffix(context.output, "autopick", own)
        self.picking = AutopickOptions(
            micrographs=own,
            method=options.method,
            references=options.references,
            references_ctf_corrected=options.references_ctf_corrected and options.watch is None,
            min_diameter=options.min_diameter,
            max_diameter=options.max_diameter,
            white_particles=options.white_particles,
            threshold_offset=options.threshold_offset,
            max_resolution=options.max_resolution,
            learn_from=options.learn_from,
            seed=options.seed,
        )
        self.extraction = ExtractOptions(
            micrographs=own,
            coordinates=list_file,
            box_size=sizes.box_px,
            rescale=sizes.rescaled_px,
            background_diameter=sizes.background_px,
            invert_contrast=not options.white_particles,
        )
        self.model: AdaptiveModel | MatchedModel | None = None
        self.wanted = options.learn_from
        self.optics: pd.DataFrame = pd.DataFrame()
        self._doubted = False

    def can_pick(self, arrivals: Arrivals, names: list[str], last: bool) -> bool:
        """Whether micrographs can be picked: unless the method is log, once there is a model.

        It is learned once, when as many have come as are to be learned from, or in the end from those there
        are. Where nothing convincing is found, it is tried again with twice as many.
        """
        from boxwood.jobs.picking_model import FILE

        if self.picking.method == "log" or self.model is not None:
            return True
        if not (self.context.output / FILE).exists() and len(names) < self.wanted and not last:
            return False
        get = self._templates if self.picking.method == "template" else self._adaptive
        self.model = get(arrivals, names)
        if self.model is not None:
            return True
        self.wanted = 2 * len(names)
        self.context.warn(
            f"nothing convincing was found on {len(names)} micrographs; "
            + ("nothing is picked" if last else f"more are learned from when there are {self.wanted}")
        )
        return False

    def _adaptive(self, arrivals: Arrivals, names: list[str]) -> AdaptiveModel | None:
        from boxwood.jobs.adaptive_picking import learn
        from boxwood.jobs.picking_model import FILE, read_model, write_model

        path = self.context.output / FILE
        if path.exists():
            return read_model(path)
        files = {name: arrivals.file_of(name) for name in names}
        model = learn(self.picking, self.context, files, _pixel_sizes(arrivals, names))
        if model is None or not model.convincing:
            return None
        write_model(path, model, dialect=self.context.dialect)
        self.context.log(
            f"learned from {len(names)} micrographs: particles are "
            f"{model.particle_diameter_angstrom:.0f} A in diameter"
        )
        return model

    def _templates(self, arrivals: Arrivals, names: list[str]) -> MatchedModel | None:
        picker = self._template_picker(arrivals, names)
        files = {name: arrivals.file_of(name) for name in names}
        return picker.get_model(files, again=False)

    def _template_picker(self, arrivals: Arrivals, names: list[str]) -> TemplatePicker:
        from boxwood.jobs.template_picking import TemplatePicker

        sizes = _pixel_sizes(arrivals, names)
        return TemplatePicker(self.picking, self.context, arrivals.set_of(names), sizes)

    def take(self, arrivals: Arrivals, names: list[str]) -> Iterator[tuple[str, pd.DataFrame | str]]:
        """Pick and extract; yields the table of the particles, or why a micrograph cannot be used."""
        from boxwood.picking.templates import MatchedModel

        self._set_optics(arrivals)
        if not self._doubted:  # a microscope is set to another magnification, say
            sizes = _pixel_sizes(arrivals, names)
            self._doubted = compare_with_headers({arrivals.file_of(n): sizes[n] for n in names}, self.context)
        micrographs = arrivals.set_of(names)
        picker = Picker(self.picking, self.context, micrographs, names)
        picker.root, picker.drawn = arrivals.root, set()
        if isinstance(self.model, MatchedModel):
            picker.templates = self._template_picker(arrivals, names)
            picker.templates.matched = self.model
        else:
            picker.model = self.model
        threads = self.context.threads
        picked = []
        for done in map_ordered(picker.pick, names, threads):
            if reason := self._reason(done.result):
                yield done.item, reason
            else:
                picked.append(done.item)
            self.context.check_abort()
        if not picked:
            return
        extractor = Extractor(self.extraction, self.context, arrivals.set_of(picked))
        extractor.root = arrivals.root
        for extracted in map_ordered(extractor.extract, picked, threads):
            result = extracted.result
            yield extracted.item, self._reason(result) or getattr(result, "table", pd.DataFrame())
            self.context.check_abort()

    def forget(self, name: str) -> None:
        """Leave no picks of a file that could not be used: it may come back, or another one of its name."""
        self.context.output_path(name, "_autopick.star").unlink(missing_ok=True)
        self.context.give_up(name)

    def _set_optics(self, arrivals: Arrivals) -> None:
        """The optics groups of the images."""
        scale = self.extraction.box_size / self.extraction.rescaled
        sizes = {int(group): size * scale for group, size in arrivals.pixel_sizes().items()}
        self.optics = optics_of_images(arrivals.optics, sizes, self.extraction, self.context.dialect)

    def _reason(self, result: object) -> str:
        """Why an item cannot be used; empty if it can. What is not its fault ends the job."""
        if not isinstance(result, Failure):
            return ""
        if isinstance(result.error, JobError):
            raise result.error
        known = isinstance(result.error, BoxwoodError | OSError)
        return one_line(result.error) if known else self.context._reason(result.error)


def _pixel_sizes(arrivals: Arrivals, names: list[str]) -> dict[str, float]:
    return dict(zip(names, arrivals.set_of(names).pixel_sizes().tolist(), strict=True))
