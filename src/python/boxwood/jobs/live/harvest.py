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

if TYPE_CHECKING:
    from boxwood.picking.adaptive import AdaptiveModel


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
        self.model: AdaptiveModel | None = None
        self.wanted = options.learn_from
        self.optics: pd.DataFrame = pd.DataFrame()

    def can_pick(self, arrivals: Arrivals, names: list[str], last: bool) -> bool:
        """Whether micrographs can be picked: with the method adaptive, once there is a model.

        It is learned once, when as many have come as are to be learned from, or in the end from those there
        are. Where nothing convincing is found, it is tried again with twice as many.
        """
        from boxwood.jobs.adaptive_picking import learn
        from boxwood.jobs.picking_model import FILE, read_model, write_model

        if self.picking.method == "log" or self.model is not None:
            return True
        path = self.context.output / FILE
        if path.exists():
            self.model = read_model(path)
            return True
        if len(names) < self.wanted and not last:
            return False
        files = {name: arrivals.file_of(name) for name in names}
        sizes = dict(zip(names, arrivals.set_of(names).pixel_sizes().tolist(), strict=True))
        model = learn(self.picking, self.context, files, sizes)
        if model is not None and model.convincing:
            write_model(path, model, dialect=self.context.dialect)
            self.context.log(
                f"learned from {len(names)} micrographs: particles are "
                f"{model.particle_diameter_angstrom:.0f} A in diameter"
            )
            self.model = model
            return True
        self.wanted = 2 * len(names)
        self.context.warn(
            f"nothing convincing was found on {len(names)} micrographs; "
            + ("nothing is picked" if last else f"more are learned from when there are {self.wanted}")
        )
        return False

    def take(self, arrivals: Arrivals, names: list[str]) -> Iterator[tuple[str, pd.DataFrame | str]]:
        """Pick and extract; yields the table of the particles, or why a micrograph cannot be used."""
        self._set_optics(arrivals)
        micrographs = arrivals.set_of(names)
        picker = Picker(self.picking, self.context, micrographs, names)
        picker.root, picker.model, picker.drawn = arrivals.root, self.model, set()
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
