"""Coordinates for extracting refined particles again."""

import numpy as np

from boxwood.typing import AnyArray, DoubleArray


def recentred_coordinates(
    coordinates: AnyArray,
    offsets: AnyArray,
    centre: AnyArray | None = None,
    angles_deg: AnyArray | None = None,
) -> tuple[DoubleArray, DoubleArray]:
    """Move the whole-pixel part of the offsets of refined particles into their coordinates.

    Parameters
    ----------
    coordinates : (n, 2)
        x and y in micrograph pixels.
    offsets : (n, 2)
        Refined offsets (rlnOriginX and Y) in micrograph pixels.
    centre : (3,), optional
        Point of the reference, in micrograph pixels from its origin, that is to become the centre.
    angles_deg : (n, 3), optional
        rot, tilt and psi of the particles, which carry `centre` into each image; 0 if not given.

    Returns
    -------
    coordinates : (n, 2) float64
    offsets : (n, 2) float64
        What is left, at most half a pixel.
    """
    total = np.asarray(offsets, np.float64).copy()
    if centre is not None:
        angles = np.zeros((len(total), 3)) if angles_deg is None else np.asarray(angles_deg, np.float64)
        total -= projected(np.asarray(centre, np.float64), angles)
    whole = np.copysign(np.floor(np.abs(total) + 0.5), total)
    return np.asarray(coordinates, np.float64) - whole, total - whole


def projected(point: DoubleArray, angles_deg: DoubleArray) -> DoubleArray:
    """Where a point (3,) of a reference lies in images seen under rot, tilt, psi (n, 3): (n, 2) x and y."""
    rot, tilt, psi = np.deg2rad(angles_deg).T
    x, y, z = point
    # Rotation about z by rot, about the new y by tilt, about the new z by psi.
    along = np.cos(rot) * x + np.sin(rot) * y
    across = -np.sin(rot) * x + np.cos(rot) * y
    along = np.cos(tilt) * along - np.sin(tilt) * z
    return np.column_stack(
        [np.cos(psi) * along + np.sin(psi) * across, -np.sin(psi) * along + np.cos(psi) * across]
    )
