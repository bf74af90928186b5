"""Coordinates and images of one micrograph in another frame: reduced in size, or turned over.

Coordinates count from the centre of the first pixel. Reducing a micrograph by cropping its transform leaves
that point where it is; averaging blocks of b pixels moves it by (b - 1)/2 pixels.
"""

import numpy as np

from boxwood.typing import AnyArray, DoubleArray


def from_reduced(values: AnyArray, binning: float, averaged: bool = False) -> DoubleArray:
    """Coordinates on the whole micrograph, from those on one reduced by `binning`.

    Parameters
    ----------
    values : array
    binning : float
        Pixels of the whole micrograph along an edge of one of the reduced.
    averaged : bool
        Blocks of pixels were averaged, where otherwise the transform was cropped.
    """
    values = np.asarray(values, dtype=np.float64)
    return values * binning + ((binning - 1) / 2 if averaged else 0.0)


def to_reduced(values: AnyArray, binning: float, averaged: bool = False) -> DoubleArray:
    """Coordinates on a micrograph reduced by `binning`; the inverse of `from_reduced`."""
    values = np.asarray(values, dtype=np.float64)
    return (values - ((binning - 1) / 2 if averaged else 0.0)) / binning


def turned_over(y: AnyArray, height: float | AnyArray) -> DoubleArray:
    """Coordinates along y after the order of a micrograph's rows was reversed; its own inverse."""
    return height - 1 - np.asarray(y, dtype=np.float64)


def turned_over_images(images: AnyArray) -> AnyArray:
    """Images (..., ny, nx) with their rows in reverse order around the origin, row ny // 2.

    Of an even number of rows the first has no counterpart and stays.
    """
    reverse = images[..., ::-1, :]
    return np.roll(reverse, 1, axis=-2) if images.shape[-2] % 2 == 0 else reverse
