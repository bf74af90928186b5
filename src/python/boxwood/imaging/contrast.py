"""Whether the particles of a stack are bright or dark."""

import numpy as np

from boxwood.imaging.masks import soft_circle
from boxwood.typing import AnyArray

# Radii as a part of the box: particles fill half of it, and its corners are empty.
_INSIDE, _OUTSIDE = 0.2, 0.45


def centre_brightness(images: AnyArray) -> float:
    """How much brighter the centres of images are than their edges, in standard errors of the mean.

    Every image counts in standard deviations of its own edge, so that grey scales do not matter; images
    without contrast do not count.

    Parameters
    ----------
    images : (n, box, box)

    Returns
    -------
    float
        0 where fewer than two images have contrast.
    """
    box = images.shape[-1]
    inside = soft_circle((box, box), _INSIDE * box, 0) > 0
    outside = soft_circle((box, box), _OUTSIDE * box, 0) == 0
    edge = images[:, outside].astype(np.float64)
    deviation = edge.std(axis=1)
    difference = images[:, inside].mean(axis=1, dtype=np.float64) - edge.mean(axis=1)
    usable = np.isfinite(difference) & np.isfinite(deviation) & (deviation > 0)
    values = difference[usable] / deviation[usable]
    if len(values) < 2 or values.std() == 0:
        return 0.0
    return float(values.mean() / (values.std(ddof=1) / np.sqrt(len(values))))
