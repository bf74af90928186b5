"""Templates made ready for a micrograph: its pixel size, their sign, and the mask around the particle."""

from dataclasses import dataclass

import numpy as np

from boxwood.errors import InputError
from boxwood.imaging.fourier import centred_indices, forward, inverse, signed_frequencies, window_spectrum
from boxwood.picking.geometry import round_half_away
from boxwood.picking.peaks import check_range
from boxwood.typing import AnyArray, DoubleArray

_SAME_PIXEL = 1e-3  # Angstrom
_SAME_VALUE = 1e-6


@dataclass(frozen=True)
class References:
    """Templates at a micrograph's pixel size.

    Attributes
    ----------
    images : (n, box, box) float64
        Particles of the same sign as in the micrograph.
    radius_px : int
        Of the mask.
    pixel_size_angstrom : float
    """

    images: DoubleArray
    radius_px: int
    pixel_size_angstrom: float

    @property
    def box_px(self) -> int:
        return int(self.images.shape[-1])

    @property
    def mask(self) -> AnyArray:
        """(box, box) bool: the disc that holds the particle."""
        at = centred_indices(self.box_px)
        inside: AnyArray = at[:, None] ** 2 + at**2 < self.radius_px**2
        return inside


def prepare_references(
    images: AnyArray,
    pixel_size_angstrom: float,
    micrograph_pixel_size_angstrom: float,
    *,
    mask_diameter: float | None = None,
    inverted: bool = True,
    shrink_mask_px: int = 2,
) -> References:
    """Scale templates to the micrograph's pixels, and mask them.

    Parameters
    ----------
    images : (n, box, box) array of numbers
    pixel_size_angstrom, micrograph_pixel_size_angstrom : float
    mask_diameter : float, optional
        Angstrom; by default what is not constant along the templates' middle rows.
    inverted : bool
        Particles are white in the templates and dark in the micrograph, or the other way round.
    shrink_mask_px : int
        Micrograph pixels by which the mask is narrower than half its diameter.

    Raises
    ------
    InputError
        As `check_references`; also if the mask leaves nothing of the templates or of their corners.
    """
    stack = np.asarray(images, np.float64)
    check_references(stack)
    check_range("reference_pixel_size", pixel_size_angstrom, above=0)
    check_range("pixel_size_angstrom", micrograph_pixel_size_angstrom, above=0)
    if mask_diameter is None:
        mask_diameter = automatic_diameter(stack) * pixel_size_angstrom
    radius = round_half_away(mask_diameter / (2 * micrograph_pixel_size_angstrom)) - shrink_mask_px
    if abs(pixel_size_angstrom - micrograph_pixel_size_angstrom) > _SAME_PIXEL:
        stack = _rescaled(stack, pixel_size_angstrom / micrograph_pixel_size_angstrom)
    references = References(-stack if inverted else stack, radius, micrograph_pixel_size_angstrom)
    if radius < 1 or references.mask.all():
        raise InputError(
            f"mask_diameter is {mask_diameter:.4g} Å, which leaves {'nothing' if radius < 1 else 'all'} of "
            f"references of {references.box_px} micrograph pixels; give one that has corners around it"
        )
    return references


def check_references(images: AnyArray) -> None:
    """Refuse what is no template.

    Raises
    ------
    InputError
        If the images are not square, or the pixels of one are not finite, or are all the same.
    """
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.shape[1] < 4 or not len(images):
        raise InputError(f"the references are an array of shape {images.shape}, expected (n, box, box)")
    for number, image in enumerate(images, 1):
        if not np.isfinite(image).all():
            raise InputError(f"reference {number} has pixels that are not finite; leave it out")
        if image.min() == image.max():
            raise InputError(f"reference {number} is empty: all of its pixels are the same; leave it out")


def automatic_diameter(images: AnyArray) -> float:
    """Mean extent, in pixels, of what differs from the first pixel along the middle row of each image."""
    extents = []
    for image in images:
        differs = np.abs(image[image.shape[0] // 2] - image[0, 0]) > _SAME_VALUE
        first = int(np.argmax(differs))
        same_again = np.flatnonzero(~differs[first:])
        last = first + int(same_again[0]) - 1 if len(same_again) else len(differs) - 1
        extents.append(last - first)
    return float(np.mean(extents))


def _rescaled(images: DoubleArray, factor: float) -> DoubleArray:
    """Images with `factor` times as many pixels.

    As in RELION, finer images have only frequencies within the circle of the old Nyquist frequency, and grey
    values less by the factor.
    """
    box = images.shape[-1]
    new = 2 * round_half_away(0.5 * box * factor)
    spectra = window_spectrum(forward(images), (box, box), (new, new))
    if new > box:
        radius2 = signed_frequencies(new)[:, None] ** 2 + np.arange(new // 2 + 1) ** 2
        spectra *= (radius2 <= (box // 2) ** 2) * (box / new)
    return np.asarray(inverse(spectra, (new, new)), np.float64)
