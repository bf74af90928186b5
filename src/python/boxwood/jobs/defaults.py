"""Sizes that follow from a particle's diameter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from boxwood.imaging.polar import good_length

# The proportions of RELION's tutorial (180 A, 0.885 A/px: box 256, rescaled to 64, mask 200 A).
BOX_PER_DIAMETER = 1.25
MASK_PER_DIAMETER = 1.1
# A rescaled pixel of at most this many Angstrom: its Nyquist frequency is past what first 2D classes resolve.
COARSEST_PIXEL_ANGSTROM = 3.6
PARTICLES_PER_CLASS = 40
MOST_CLASSES = 50


class HasSizes(Protocol):
    """Options of a job that goes from micrographs to classes."""

    @property
    def max_diameter(self) -> float: ...
    @property
    def box_size(self) -> int | None: ...
    @property
    def rescale(self) -> int | None: ...
    @property
    def background_diameter(self) -> int | None: ...
    @property
    def mask_diameter(self) -> float | None: ...


@dataclass(frozen=True)
class Sizes:
    """Sizes for extraction and classification.

    Attributes
    ----------
    box_px : int
        Box cut out of the micrograph, even and quick to transform.
    rescaled_px : int or None
        Box after rescaling; None if the pixels are coarse enough already.
    background_px : int
        Diameter of the circle outside which a box is background, in micrograph pixels.
    mask_angstrom : float
        Diameter of the mask of the classification.
    """

    box_px: int
    rescaled_px: int | None
    background_px: int
    mask_angstrom: float


def sizes_for(diameter_angstrom: float, pixel_size_angstrom: float, box_px: int | None = None) -> Sizes:
    """Derive box (unless given), rescaled box, background circle and mask from the particle's diameter."""
    box = box_px or good_length(BOX_PER_DIAMETER * diameter_angstrom / pixel_size_angstrom, 2)
    rescaled = good_length(box * pixel_size_angstrom / COARSEST_PIXEL_ANGSTROM, 2)
    mask = 10 * round(MASK_PER_DIAMETER * diameter_angstrom / 10)
    return Sizes(
        box_px=box,
        rescaled_px=rescaled if rescaled < box else None,
        background_px=min(box, round(diameter_angstrom / pixel_size_angstrom)),
        mask_angstrom=float(max(mask, math.ceil(diameter_angstrom))),
    )


def chosen_sizes(options: HasSizes, pixel_size_angstrom: float) -> Sizes:
    """What the user gave, and for the rest what follows from the diameter."""
    sizes = sizes_for(options.max_diameter, pixel_size_angstrom, options.box_size)
    return Sizes(
        box_px=sizes.box_px,
        rescaled_px=options.rescale or sizes.rescaled_px,
        background_px=options.background_diameter or sizes.background_px,
        mask_angstrom=options.mask_diameter or sizes.mask_angstrom,
    )


def classes_for(particles: int) -> int:
    """How many classes to ask for: enough particles in each for an average, and no more than 50."""
    return max(1, min(MOST_CLASSES, particles // PARTICLES_PER_CLASS))
