"""Turn and shift images as a classification has placed them."""

import numpy as np

from boxwood.typing import AnyArray, FloatArray


def aligned(images: AnyArray, psi_deg: AnyArray, offset_px: AnyArray) -> FloatArray:
    """Bring every particle to the origin of its box, and turn it as its class average lies.

    Linear interpolation; the image's mean comes in from outside. Angles and offsets are those of
    docs/conventions.md.

    Parameters
    ----------
    images : (n, box, box)
    psi_deg : (n,)
    offset_px : (n, 2)
        x, y: rlnOriginX/YAngst over the pixel size.

    Returns
    -------
    (n, box, box) float32
    """
    from scipy import ndimage  # a third of a second to import

    moved = np.empty(images.shape, np.float32)
    centre = images.shape[-1] // 2
    for target, image, psi, (x, y) in zip(moved, images, np.deg2rad(psi_deg), offset_px, strict=True):
        # The pixel that is wanted at q lies at R(-psi) q - offset; axes are y, x.
        turn = np.array([[np.cos(psi), -np.sin(psi)], [np.sin(psi), np.cos(psi)]])
        start = centre - turn @ (centre, centre) - (y, x)
        ndimage.affine_transform(image, turn, start, output=target, order=1, cval=float(np.mean(image)))
    return moved
