"""Masks around the origin of an image."""

import numpy as np

from boxwood.imaging.fourier import centred_indices
from boxwood.typing import AnyArray


def radius_grid(shape: tuple[int, int]) -> AnyArray:
    """Distance of every pixel from the origin (pixel n//2), in pixels."""
    y, x = (centred_indices(n).astype(np.float64) for n in shape)
    return np.hypot(y[:, None], x[None, :])


def soft_circle(shape: tuple[int, int], radius_px: float, edge_px: float = 5.0) -> AnyArray:
    """Circular mask with a raised-cosine edge.

    Parameters
    ----------
    shape : (ny, nx)
    radius_px : float
        The mask is 1 inside.
    edge_px : float
        Width of the edge; the mask is 0 beyond radius + edge. With 0 the mask is 1 where r < radius.

    Returns
    -------
    (ny, nx) float64
    """
    r = radius_grid(shape)
    if edge_px <= 0:
        return (r < radius_px).astype(np.float64)
    inwards = np.clip((radius_px + edge_px - r) / edge_px, 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(np.pi * inwards)
