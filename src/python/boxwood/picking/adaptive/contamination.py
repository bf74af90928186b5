"""Where a micrograph is contaminated, on carbon or on thick ice, and no particle should be sought."""

import numpy as np
from scipy import ndimage
from scipy.special import ndtr

from boxwood.backends import Backend
from boxwood.picking.adaptive.filters import gaussian_bank
from boxwood.typing import AnyArray, DoubleArray, FloatArray

_BLUR = 0.2  # diameters
_CORE, _EDGE = 5.0, 3.0  # standard deviations of the blurred micrograph
_INSCRIBED = 0.8  # diameters: radius of a circle that no particle could hold, nor several that touch, blurred
_MARGIN = 0.15  # diameters


def clean_area(image: FloatArray, diameter_px: float, backend: Backend, threads: int) -> FloatArray:
    """1 where particles may be sought, 0 on large dark or bright areas.

    What deviates from a quadratic surface by five standard deviations is masked where it holds a circle
    larger than a particle, with whatever of three standard deviations is connected to it. The size of the
    circle, not the area, tells contamination from particles in contact.

    Parameters
    ----------
    image : (ny, nx) float32
    diameter_px : float

    Returns
    -------
    (ny, nx) float32
    """
    blur = gaussian_bank(_BLUR * diameter_px)
    weight = np.multiply.outer(*(_share_inside(n, _BLUR * diameter_px) for n in image.shape))
    smooth = blur.apply(image, backend, threads)[0][0] / weight.astype(np.float32)
    rest = smooth - _surface(smooth, max(1, int(diameter_px / 2)))
    some = rest[::2, ::2]
    deviation = 1.4826 * float(np.median(np.abs(some - np.median(some))))
    far = np.abs(rest) / max(deviation, 1e-12)
    core, _ = ndimage.label(far > _CORE)
    radius, margin = _INSCRIBED * diameter_px, _MARGIN * diameter_px
    large = np.bincount(core.ravel()) >= 3 * radius**2  # a disc of pixels has about pi
    objects = ndimage.find_objects(core) if large[1:].any() else []
    wide = [
        i
        for i, box in enumerate(objects, 1)
        if large[i] and _depth(core, i, _widened(box, 1)).max() >= radius
    ]
    mask = np.ones(image.shape, np.float32)
    if not wide:
        return mask
    grown, _ = ndimage.label(far > _EDGE)
    objects = ndimage.find_objects(grown)
    for i in np.unique(grown[np.isin(core, wide)]).tolist():
        box = _widened(objects[i - 1], int(np.ceil(margin)))
        near = ndimage.distance_transform_edt(grown[box] != i) <= margin
        mask[box][near] = 0
    return mask


def _depth(labels: AnyArray, i: int, box: tuple[slice, ...]) -> DoubleArray:
    """How far inside object i each pixel of a box lies; beyond the edge of the image it may go on."""
    return ndimage.distance_transform_edt(labels[box] == i)


def _widened(box: tuple[slice, ...], by: int) -> tuple[slice, ...]:
    return tuple(slice(max(0, side.start - by), side.stop + by) for side in box)


def _share_inside(n: int, sigma_px: float) -> DoubleArray:
    """How much of a Gaussian about each of n pixels lies on the n pixels."""
    before = ndtr((np.arange(n) + 0.5) / sigma_px)
    return before + before[::-1] - 1


def _surface(image: FloatArray, step: int) -> FloatArray:
    """Quadratic surface fitted to every `step`-th pixel, again and again without what lies far off it."""
    y, x = (np.linspace(-1, 1, n) for n in image.shape)
    values = image[::step, ::step].astype(np.float64).ravel()
    v, u = (axis[::step].ravel() for axis in (y, x))
    v, u = np.repeat(v, len(u)), np.tile(u, len(v))
    basis = np.stack([np.ones_like(v), v, u, v * v, u * u, v * u])
    off = np.abs(values - np.median(values))  # a fit to all would bend into a contamination at the edge
    for _ in range(5):
        near = off <= 3 * 1.4826 * np.median(off)
        used = basis[:, near]
        terms = np.linalg.solve(used @ used.T, used @ values[near])
        off = np.abs(values - terms @ basis)
    one, along_y, along_x, square_y, square_x, both = terms
    column = (one + along_y * y + square_y * y * y).astype(np.float32)[:, None]
    row = (along_x * x + square_x * x * x).astype(np.float32)
    return column + row + np.multiply.outer((both * y).astype(np.float32), x.astype(np.float32))
