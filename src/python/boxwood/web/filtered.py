"""Micrographs as they are picked on: filtered, at the size they are shown in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from boxwood.errors import InputError
from boxwood.web.images import Level, Pyramid, band_pass, make_level
from boxwood.web.micrographs import pyramid_of
from boxwood.web.workspace import Workspace

# A level whose pixels are this much smaller than the low-pass shows all there is: there the filter has come
# down to 4 %.
_PIXELS_PER_RESOLUTION = 6.0


@dataclass(frozen=True)
class Filter:
    """What to leave out of a micrograph.

    Attributes
    ----------
    low_pass, high_pass : float
        Resolutions in Angstrom (see `boxwood.web.images.band_pass`); 0 or less for none.
    pixel_size_angstrom : float
    """

    low_pass: float
    high_pass: float
    pixel_size_angstrom: float

    def __post_init__(self) -> None:
        numbers = (self.low_pass, self.high_pass, self.pixel_size_angstrom)
        if not np.isfinite(numbers).all() or self.pixel_size_angstrom <= 0:
            raise InputError("resolutions and the pixel size must be numbers, and the pixel size above 0")

    @property
    def leaves_all(self) -> bool:
        return self.low_pass <= 0 and self.high_pass <= 0

    def finest(self, pyramid: Pyramid) -> int:
        """The finest level worth showing: finer ones would show the same, only larger."""
        if self.low_pass <= 0:
            return 0
        binning = self.low_pass / (_PIXELS_PER_RESOLUTION * self.pixel_size_angstrom)
        return int(np.clip(np.log2(max(binning, 1.0)), 0, len(pyramid.levels) - 1))


def filtered_level(workspace: Workspace, name: str, number: int, wanted: Filter) -> tuple[Level, str]:
    """Return a level of a micrograph, filtered, and a tag that changes with the file.

    The level's own 8-bit pixels are filtered: their rounding is far below the noise.

    Raises
    ------
    InputError
        If there is no such level.
    """
    pyramid, tag = pyramid_of(workspace, name)
    if not 0 <= number < len(pyramid.levels):
        raise InputError(f"there is no level {number}")
    level = pyramid.levels[number]
    if wanted.leaves_all:
        return level, tag

    def make() -> tuple[Level, int]:
        pixel_size = wanted.pixel_size_angstrom * 2**number
        made = make_level(band_pass(level.values(), pixel_size, wanted.low_pass, wanted.high_pass))
        return made, made.pixels.nbytes

    key = ("filtered", name, tag, number, wanted)
    return workspace.pictures.get(key, make), f"{tag}-{wanted.low_pass:g}-{wanted.high_pass:g}"
