"""Bring the object in an image to the centre pixel."""

import numpy as np

from boxwood.typing import AnyArray, DoubleArray, FloatArray


def shortened(vectors: AnyArray, longest: float) -> AnyArray:
    """(n, 2) vectors, those beyond `longest` cut down to it in their own direction."""
    length = np.hypot(*vectors.T)[:, None]
    return np.where(length > longest, vectors * (longest / np.maximum(length, 1e-9)), vectors)


def centre_of_mass(images: AnyArray) -> DoubleArray:
    """Centre of mass of the positive pixels, from the centre pixel (box // 2).

    Parameters
    ----------
    images : (n, ny, nx)

    Returns
    -------
    (n, 2) float64: y, x in pixels; 0, 0 for an image without a positive pixel
    """
    mass = np.maximum(np.asarray(images, np.float64), 0)
    ny, nx = mass.shape[-2:]
    total = mass.sum(axis=(-2, -1))
    safe = np.where(total > 0, total, 1.0)
    y = mass.sum(axis=-1) @ (np.arange(ny) - ny // 2) / safe
    x = mass.sum(axis=-2) @ (np.arange(nx) - nx // 2) / safe
    return np.column_stack([y, x])


def recentre(images: AnyArray) -> FloatArray:
    """Shift every image so that the centre of mass of its positive pixels lies on the centre pixel.

    Linear interpolation; zeros come in from outside. This is the re-centring of class averages that
    RELION's Select offers.

    Parameters
    ----------
    images : (n, ny, nx)

    Returns
    -------
    (n, ny, nx) float32
    """
    from scipy import ndimage  # a third of a second to import, and most who ask for this module only measure

    moved = np.empty(np.shape(images), np.float32)
    for target, image, centre in zip(moved, images, centre_of_mass(images), strict=True):
        target[:] = ndimage.shift(np.asarray(image, np.float64), -centre, order=1, mode="grid-constant")
    return moved
