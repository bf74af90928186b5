"""The method template of autopick: references, the maps of a micrograph, and its picks."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from boxwood.errors import FileFormatError, InputError
from boxwood.jobs.autopick_options import USUAL_DISTANCE, AutopickOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from boxwood.io.particles import MicrographSet
    from boxwood.jobs.context import JobContext
    from boxwood.picking.templates import (
        MatchedModel,
        References,
        TemplateMaps,
        TemplatePicks,
        Turned,
    )
    from boxwood.typing import AnyArray, DoubleArray, FloatArray

# What the maps' files are called after the micrograph.
MAPS = {
    "best": "_autopick_bestCCF.mrcs",
    "psi": "_autopick_bestPSI.mrcs",
    "mean": "_autopick_avgNoise.mrc",
    "deviation": "_autopick_stddevNoise.mrc",
}


def read_references(path: Path) -> tuple[FloatArray, float | None]:
    """Images (n, box, box) of a stack, or those that a STAR file names, and the pixel size of their header.

    Raises
    ------
    FileFormatError
        If the file names no images, or they cannot be read.
    InputError
        If they have different sizes.
    """
    from boxwood.io.mrc import read_image, read_stack
    from boxwood.io.star import read_star

    if path.suffix != ".star":
        stack = read_stack(path)
        return np.stack([stack[i] for i in range(len(stack))]).astype(np.float32), stack.pixel_size_angstrom
    tables = [table for table in read_star(path).values() if isinstance(table, pd.DataFrame)]
    labels = ("rlnReferenceImage", "rlnImageName")
    found = [table[label] for label in labels for table in tables if label in table]
    if not found or not len(found[0]):
        raise FileFormatError(f"{path} names no images (_rlnReferenceImage); give a class_averages.star")
    root = _root(path, str(found[0].iloc[0]))
    images = [read_image(_below(root, str(name))) for name in found[0]]
    if len({image.data.shape for image in images}) > 1:
        raise InputError(f"the references of {path} have different sizes; give those of one classification")
    return np.stack([image.data for image in images]).astype(np.float32), images[0].pixel_size_angstrom


def _root(star: Path, name: str) -> Path:
    """The folder that image names start from: the current one, or one above the STAR file."""
    folders = [Path(), *star.resolve().parents]
    file = name.rpartition("@")[2]
    return next((folder for folder in folders if (folder / file).is_file()), Path())


def _below(root: Path, name: str) -> str:
    number, at, file = name.rpartition("@")
    return f"{number}{at}{root / file}"


class TemplatePicker:
    """Picks micrographs with the templates of a job.

    Parameters
    ----------
    options : AutopickOptions
    context : JobContext
    micrographs : MicrographSet
    pixel_sizes : mapping
        Angstrom, by name.
    """

    def __init__(
        self,
        options: AutopickOptions,
        context: JobContext,
        micrographs: MicrographSet,
        pixel_sizes: Mapping[str, float],
    ) -> None:
        assert options.references is not None
        self.options = options
        self.place = {name: i for i, name in enumerate(pixel_sizes)}
        self.pixel_sizes = pixel_sizes
        self.images, header = read_references(options.references)
        pixel = options.reference_pixel_size or header
        self.reference_pixel_size = pixel or next(iter(pixel_sizes.values()))
        if not pixel:
            context.log("the references do not tell their pixel size, so it is taken to be the micrographs'")
        self.micrographs = micrographs
        if options.references_ctf_corrected and not micrographs.has_ctf():
            raise InputError(
                f"the references are CTF-corrected, but {options.micrographs} has no CTF parameters; "
                "estimate them, or say that they are not (--no-references-ctf-corrected, or the box in the "
                "tab References)"
            )
        self._turned: dict[tuple[tuple[int, ...], float], Turned] = {}
        self._lock = Lock()
        self._references: dict[float, References] = {}
        self.context = context
        if options.score == "relion":
            first, size = self.references(next(iter(pixel_sizes))), next(iter(pixel_sizes.values()))
            context.log(f"{len(self.images)} references, in a mask of {2 * first.radius_px * size:.0f} A")

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("_lock", "_turned")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._turned, self._lock = {}, Lock()

    def references(self, name: str) -> References:
        """The references at a micrograph's pixel size."""
        from boxwood.picking.templates import prepare_references

        pixel = self.pixel_sizes[name]
        if pixel not in self._references:
            self._references[pixel] = prepare_references(
                self.images,
                self.reference_pixel_size,
                pixel,
                mask_diameter=self.options.mask_diameter,
                inverted=self.options.references_inverted,
            )
        return self._references[pixel]

    @cached_property
    def ctf_rows(self) -> DoubleArray:
        """Of every micrograph; nan where one has none."""
        from boxwood.io.particles import ctf_rows

        return ctf_rows(self.micrographs, complete=False)

    def ctf_row(self, name: str) -> DoubleArray | None:
        """Of a micrograph; None where references are compared as they are."""
        if not self.options.references_ctf_corrected:
            return None
        if not self._has_ctf(name):
            raise InputError(f"{name} has no CTF; leave it out, or estimate it")
        row: DoubleArray = self.ctf_rows[self.place[name]]
        return row

    def _has_ctf(self, name: str) -> bool:
        return bool(np.isfinite(self.ctf_rows[self.place[name]]).all())

    @property
    def settings(self) -> dict[str, float]:
        """What the scores of the matched filter depend on, by label."""
        options = self.options
        return {
            "boxwoodReferences": len(self.images),
            "boxwoodLowpass": options.lowpass,
            "boxwoodAngularSampling": options.angular_sampling,
            "boxwoodMaskDiameter": options.mask_diameter or -1,
            "boxwoodReferencesInverted": int(options.references_inverted),
            "boxwoodReferencesCtfCorrected": int(options.references_ctf_corrected),
        }

    def get_model(self, files: Mapping[str, Path], *, again: bool = True) -> MatchedModel | None:
        """Use the model that is given or that of the job that is continued, or learn one and store it.

        Parameters
        ----------
        files : mapping
            Of the micrographs that may be learned from.
        again : bool
            Whether a job that is not continued learns although its folder has a model.

        Returns
        -------
        MatchedModel or None
            None, with a warning, if no score would be convincing.
        """
        from boxwood.jobs.picking_model import FILE, read_learned, write_learned
        from boxwood.picking.templates import MatchedModel

        options, path = self.options, self.context.output / FILE
        usable = path.exists() and (self.context.continuing or not again)
        given = options.model or (path if usable else None)
        if given is None:
            self.learn(files)
        else:
            learned = read_learned(given, self.settings)
            self.matched = MatchedModel.of(
                learned, self.images, self.reference_pixel_size, threads=self.context.threads, **self._how
            )
        threshold = self.matched.calibration.threshold(options.max_local_fdr)
        if not np.isfinite(threshold):
            self.context.warn(
                "no score on these micrographs is more often a particle's than the noise's, so nothing is "
                "picked; check that references, CTF and pixel sizes are right, or learn from more micrographs"
            )
            return None
        write_learned(path, self.matched, self.settings, dialect=self.context.dialect)
        self.context.log(
            f"{len(self.images)} references of particles of {self.matched.diameter_angstrom:.0f} A, picked "
            f"above {threshold:.2f} standard deviations"
        )
        return self.matched

    @property
    def _how(self) -> dict[str, Any]:
        options = self.options
        return {
            "mask_diameter": options.mask_diameter,
            "lowpass": options.lowpass,
            "angular_sampling": options.angular_sampling,
            "inverted": options.references_inverted,
        }

    def learn(self, files: Mapping[str, Path]) -> None:
        """Learn the noise of the micrographs that the templates are sought in."""
        from boxwood.jobs.adaptive_picking import learned_from
        from boxwood.picking.templates import learn_matched

        names = [n for n in files if not self.options.references_ctf_corrected or self._has_ctf(n)]
        if files and not names:
            raise InputError(f"no micrograph of {self.options.micrographs} has a CTF; estimate them")
        images = learned_from(self.options, names, files.__getitem__, self.context.check_abort)
        self.matched = learn_matched(
            list(images.values()),
            [self.pixel_sizes[name] for name in images],
            [self.ctf_row(name) for name in images],
            self.images,
            self.reference_pixel_size,
            seed=self.options.seed,
            threads=self.context.threads,
            progress=lambda done: self.context.progress(done, 1, "learning"),
            **self._how,
        )

    def match(self, name: str, image: AnyArray, threads: int) -> tuple[pd.DataFrame, str]:
        """The table of a micrograph's picks by the matched filter, and why it is empty if it is."""
        from boxwood.jobs.adaptive_picking import LOCAL_FDR
        from boxwood.picking.templates import pick_matched

        picks = pick_matched(
            image,
            self.pixel_sizes[name],
            self.matched,
            self.ctf_row(name),
            max_local_fdr=self.options.max_local_fdr,
            min_distance=self.options.min_distance,
            skip_side=self.options.skip_side,
            threads=threads,
        )
        return columns(picks).assign(**{LOCAL_FDR: picks.local_fdr}), picks.reason

    def turned(self, name: str, shape: tuple[int, int]) -> Turned:
        """The references at all angles, for a micrograph of this shape."""
        from boxwood.picking.templates import Turned

        key = (shape, self.pixel_sizes[name])
        with self._lock:
            if key not in self._turned:
                self._turned[key] = Turned(
                    self.references(name),
                    shape,
                    angular_sampling=self.options.angular_sampling,
                    lowpass=self.options.lowpass,
                    shrink=self.options.shrink,
                )
            return self._turned[key]

    def maps(self, name: str, image: AnyArray, threads: int) -> TemplateMaps:
        """Score a micrograph."""
        from boxwood.picking.templates import ratio_maps
        from boxwood.picking.templates.relion_noise import numbers_for

        turned = self.turned(name, (image.shape[0], image.shape[1]))
        row = self.ctf_row(name)
        beyond = turned.side**2 - image.size
        numbers = numbers_for(self.options.seed, self.place[name], beyond + len(turned) * turned.samples)
        return ratio_maps(
            image,
            turned,
            ctf_row=row,
            ctf_intact_first_peak=self.options.ctf_intact_first_peak,
            highpass=self.options.highpass or -1.0,
            outside=numbers[:beyond],
            noise=numbers[beyond:].reshape(len(turned), -1),
            threads=threads,
        )

    def pick(self, name: str, maps: TemplateMaps) -> TemplatePicks:
        """The picks of a micrograph's maps."""
        from boxwood.picking.templates import find_template_peaks

        references = self.references(name)
        distance = self.options.min_distance
        return find_template_peaks(
            maps,
            box_px=references.box_px,
            radius_px=references.radius_px,
            threshold=self.options.picking_threshold,
            min_distance=USUAL_DISTANCE if distance is None else distance,
            max_stddev_noise=self.options.max_stddev_noise,
            min_avg_noise=self.options.min_avg_noise,
            skip_side=self.options.skip_side,
        )

    def read_maps(self, name: str, files: Mapping[str, Path], shape: tuple[int, int]) -> TemplateMaps:
        """Read what `write_maps` wrote for a micrograph of this shape.

        Raises
        ------
        InputError
            If they are not there, or were made for other detail or references.
        """
        from boxwood.io.mrc import read_stack
        from boxwood.picking.geometry import working_size
        from boxwood.picking.templates import TemplateMaps

        for path in files.values():
            if not path.exists():
                raise InputError(f"{path} is not there; run with write_fom_maps, then continue that job")
        stacks = {kind: read_stack(path)[:] for kind, path in files.items()}
        work = working_size(max(shape), self.pixel_sizes[name], self.options.lowpass, self.options.shrink)
        wanted = (len(self.images), work, work)
        if stacks["best"].shape != wanted or stacks["psi"].shape != wanted:
            raise InputError(
                f"{files['best']} is {stacks['best'].shape}, and these references and detail need {wanted}; "
                "run this job with write_fom_maps again"
            )
        return TemplateMaps(
            stacks["best"],
            stacks["psi"],
            stacks["mean"][0],
            stacks["deviation"][0],
            shape,
            self.pixel_sizes[name],
        )


def write_maps(files: Mapping[str, Path], maps: TemplateMaps) -> None:
    """Write a micrograph's maps."""
    from boxwood.io.mrc import write_stack

    for kind, path in files.items():
        write_stack(path, getattr(maps, kind), maps.pixel_size_angstrom / maps.grid.scale)


def columns(picks: TemplatePicks) -> pd.DataFrame:
    """The table of picks, with RELION's columns."""
    return pd.DataFrame(
        {
            "rlnCoordinateX": picks.x,
            "rlnCoordinateY": picks.y,
            "rlnClassNumber": picks.template + 1,
            "rlnAutopickFigureOfMerit": picks.fom,
            "rlnAnglePsi": picks.psi_deg,
        }
    )
