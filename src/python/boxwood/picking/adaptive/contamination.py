"""Where a micrograph is contaminated, on carbon or on thick ice, and no particle should be sought."""

import numpy as np
from scipy import ndimage

from boxwood.backends import Backend
from boxwood.picking.adaptive.filters import gaussian_bank
from boxwood.typing import DoubleArray, FloatArray

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
    ones = blur.apply(np.ones_like(image), backend, threads)[0][0]
    smooth = blur.apply(image, backend, threads)[0][0] / np.maximum(ones, np.float32(0.1))
    rest = smooth - _surface(smooth, max(1, int(diameter_px / 4)))
    deviation = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    far = np.abs(rest) / max(deviation, 1e-12)
    core, count = ndimage.label(far > _CORE)
    mask = np.ones(image.shape, np.float32)
    if not count:
        return mask
    widths = ndimage.maximum(ndimage.distance_transform_edt(core > 0), core, np.arange(1, count + 1))
    wide = np.concatenate([[False], np.asarray(widths) >= _INSCRIBED * diameter_px])
    if not wide.any():
        return mask
    grown, parts = ndimage.label(far > _EDGE)
    bad = np.zeros(parts + 1, bool)
    bad[np.unique(grown[wide[core]])] = True
    near = ndimage.distance_transform_edt(~bad[grown]) <= _MARGIN * diameter_px
    mask[near] = 0
    return mask


def _surface(image: FloatArray, step: int) -> DoubleArray:
    """Quadratic surface fitted to every `step`-th pixel, again and again without what lies far off it."""
    y, x = (np.linspace(-1, 1, n) for n in image.shape)
    values = image[::step, ::step].astype(np.float64).ravel()
    basis = _quadratic(y[::step], x[::step]).reshape(6, -1)
    weights = np.ones(len(values))
    for _ in range(5):
        terms = np.linalg.lstsq((basis * weights).T, values * weights, rcond=None)[0]
        off = np.abs(values - terms @ basis)
        weights = (off <= 3 * 1.4826 * np.median(off)).astype(np.float64)
    return np.tensordot(terms, _quadratic(y, x), 1)


def _quadratic(y: DoubleArray, x: DoubleArray) -> DoubleArray:
    """(6, ny, nx) terms of a quadratic surface."""
    y, x = y[:, None], x[None, :]
    one = np.ones((len(y), x.shape[1]))
    return np.stack([one, one * y, one * x, one * y * y, y * x, one * x * x])
