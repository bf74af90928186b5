"""Options of export: what of a project another program is to have, and in which form."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boxwood.errors import InputError
from boxwood.jobs.exchange.frame_options import FrameOptions
from boxwood.jobs.subsets import exactly_one
from boxwood.options import Options, option

PROGRAMS = ("eman", "text", "topaz", "cbox", "cistem", "cryosparc")
# Programs that take images of particles, and those whose files hold boxes.
WITH_IMAGES, WITH_BOXES = ("cistem", "cryosparc"), ("eman", "cbox")
SOURCES = ("coordinates", "particles", "class_averages")


@dataclass(frozen=True, kw_only=True)
class _Files(Options):
    """Options that come first in the list."""

    directory: Path = option("folder to write, made if need be", positional=True, metavar="DIR")
    to: str = option("whose format: EMAN's .box, CSV, Topaz, crYOLO, cisTEM or cryoSPARC", choices=PROGRAMS)
    coordinates: Path | None = option(
        "picking job, or its list of coordinate files", None, input="coordinates", metavar="JOB"
    )
    particles: Path | None = option("particles STAR file", None, input="particles")
    class_averages: Path | None = option(
        "class_averages.star, or the model of a 2D classification", None, input="class_averages"
    )
    micrographs: Path | None = option(
        "micrographs STAR file; needed for coordinates, and where particles' STAR file does not tell their "
        "pixel size",
        None,
        input="micrographs",
    )


@dataclass(frozen=True, kw_only=True)
class ExportOptions(FrameOptions, _Files):
    only_coordinates: bool = option(
        "of particles export where they are, without images; always so for programs that take no images",
        False,
    )
    recenter: bool = option("move the places of particles by their offsets; not with images", False)
    box_size: int | None = option(
        "edge of the boxes in EMAN's and crYOLO's files, in pixels of the other program's micrograph",
        None,
        unit="px",
        at_least=2,
    )
    database: Path | None = option(
        "database of the cisTEM project, which numbers its micrographs", None, metavar="NAME.db"
    )
    exposures: Path | None = option(
        "cryoSPARC's .cs file of the same micrographs, so that it knows them again", None, metavar="FILE.cs"
    )

    @property
    def with_images(self) -> bool:
        """Whether images of particles are exported."""
        return self.particles is not None and self.to in WITH_IMAGES and not self.only_coordinates

    def validate(self) -> None:
        super().validate()
        given = exactly_one("What to export", **{name: getattr(self, name) for name in SOURCES})
        if given == "coordinates" and self.micrographs is None:
            raise InputError("coordinates are on micrographs; give their STAR file with --micrographs")
        if given == "class_averages" and self.to not in WITH_IMAGES:
            raise InputError(f"{self.to} has no form for class averages; export them to cistem or cryosparc")
        if given != "class_averages" and self.to in WITH_BOXES and self.box_size is None:
            raise InputError(f"{self.to} has boxes around particles; give their size with --box-size")
        if self.to in WITH_IMAGES and (self.binning or self.coordinate_pixel_size):
            raise InputError(
                f"{self.to} does not count in pixels; leave out binning and coordinate_pixel_size"
            )
        if self.recenter and self.particles is None:
            raise InputError("recenter is about particles' offsets; picks have none")
        if self.recenter and self.with_images:
            raise InputError("recenter moves places, which images do not follow; give also only_coordinates")
