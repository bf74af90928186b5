"""Where boxes are, and whether they fit the micrograph."""

import numpy as np

from boxwood.errors import InputError
from boxwood.typing import AnyArray, FloatArray


def box_centres(x: AnyArray, y: AnyArray, subpixel: bool = False) -> tuple[AnyArray, FloatArray | None]:
    """Whole pixels that become the origins of boxes, and how far the content must move then.

    Parameters
    ----------
    x, y : (n,)
        Coordinates in micrograph pixels.
    subpixel : bool
        Do not cut the fraction off: take the nearest pixel, and shift.

    Returns
    -------
    centres : (n, 2) int32
    shifts : (n, 2) float32, or None

    Raises
    ------
    InputError
    """
    given = [np.atleast_1d(np.asarray(c, np.float64)) for c in (x, y)]
    if given[0].shape != given[1].shape or given[0].ndim != 1:
        raise InputError(f"x has shape {given[0].shape} and y {given[1].shape}; expected two equal lengths")
    exact = np.column_stack(given)
    wrong = np.flatnonzero(~(np.abs(exact) < 2**30).all(axis=1))
    if len(wrong):
        raise InputError(
            f"coordinate {wrong[0]} is {exact[wrong[0]].tolist()}; expected finite pixel numbers"
        )
    if not subpixel:
        return exact.astype(np.int32), None
    centres = np.floor(exact + 0.5)
    return centres.astype(np.int32), (centres - exact).astype(np.float32)


def overlaps(shape: tuple[int, ...], centres: AnyArray, box_size: int) -> AnyArray:
    """Which boxes (n,) have a pixel inside the micrograph (ny, nx)."""
    half = box_size // 2
    x, y = centres.T
    ny, nx = shape
    return (x + half > 0) & (y + half > 0) & (x - half < nx) & (y - half < ny)


def touches_edge(shape: tuple[int, ...], centres: AnyArray, box_size: int) -> AnyArray:
    """Which boxes (n,) reach beyond the micrograph (ny, nx)."""
    half = box_size // 2
    x, y = centres.T
    ny, nx = shape
    return (x < half) | (y < half) | (x + half > nx) | (y + half > ny)
