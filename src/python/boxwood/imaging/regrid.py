"""Images on another grid of pixels."""

import numpy as np

from boxwood.imaging.fourier import centred_indices
from boxwood.typing import AnyArray, DoubleArray, FloatArray


def regridded(
    images: AnyArray, pixel_size_angstrom: float, box_px: int, new_pixel_size_angstrom: float
) -> FloatArray:
    """Particle images as they would be had their pixels and boxes another size.

    Their centres stay, and they hold the frequencies that both grids have; what the new box has beyond the
    old one is 0. Grey values are those of images in units of their noise: white noise keeps its power per
    frequency.

    Parameters
    ----------
    images : (n, box, box)
    pixel_size_angstrom : float
    box_px : int
        Of the result.
    new_pixel_size_angstrom : float

    Returns
    -------
    (n, box_px, box_px) float32
    """
    box, edge = images.shape[-1], box_px * new_pixel_size_angstrom
    finest = min(1 / pixel_size_angstrom, 1 / new_pixel_size_angstrom) / 2
    cycles = np.arange(-(box_px // 2) + 1, box_px // 2)
    cycles = cycles[np.abs(cycles) < finest * edge * (1 - 1e-9)]
    old, new = centred_indices(box) * pixel_size_angstrom, centred_indices(box_px) * new_pixel_size_angstrom
    phase: DoubleArray = 2 * np.pi / edge * (new[:, None] - old)
    along = np.cos(phase[..., None] * cycles).sum(axis=-1) / box_px
    grey = pixel_size_angstrom / new_pixel_size_angstrom
    return (grey * (along @ images.astype(np.float64) @ along.T)).astype(np.float32)
