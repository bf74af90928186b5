"""Options that import and export share: what the other program's coordinates count in."""

from __future__ import annotations

from dataclasses import dataclass

from boxwood.errors import InputError
from boxwood.options import Options, option

GROUP = "Frame of the other program"


@dataclass(frozen=True, kw_only=True)
class FrameOptions(Options):
    binning: float | None = option(
        "its coordinates are pixels of the micrograph reduced by this factor",
        None,
        above=0,
        group=GROUP,
    )
    coordinate_pixel_size: float | None = option(
        "its coordinates are pixels of this size, whatever the micrograph's is",
        None,
        unit="Å",
        above=0,
        group=GROUP,
    )
    averaged: bool = option(
        "the reduced micrograph averages blocks of pixels, which moves the centre of the first one; without "
        "this its transform was cropped",
        False,
        group=GROUP,
    )
    flip_y: bool = option(
        "its micrographs are upside down: coordinates, and with particles also images, angles, shifts and "
        "astigmatism are turned over",
        False,
        group=GROUP,
    )

    def validate(self) -> None:
        if self.binning is not None and self.coordinate_pixel_size is not None:
            raise InputError("binning and coordinate_pixel_size say the same thing; give one of them")
        if self.averaged and self.binning is None and self.coordinate_pixel_size is None:
            raise InputError("averaged is about a reduced micrograph; give also binning")

    def binning_at(self, pixel_size_angstrom: float | None) -> float | None:
        """Factor that the other program's coordinates are reduced by; None if the options do not say.

        Raises
        ------
        InputError
            The pixel size of the micrograph is needed and None.
        """
        if self.coordinate_pixel_size is None:
            return self.binning
        if pixel_size_angstrom is None:
            raise InputError("the micrographs' pixel size is not known; give binning instead")
        return self.coordinate_pixel_size / pixel_size_angstrom
