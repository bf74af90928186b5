"""Particles that were picked twice."""

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from boxwood.errors import InputError


def without_duplicates(
    x: npt.ArrayLike, y: npt.ArrayLike, micrograph: npt.ArrayLike, distance: float
) -> npt.NDArray[np.bool_]:
    """Which particles stay when of every close pair the earlier one is removed.

    A particle is removed when a later particle of the same micrograph lies at `distance` or nearer, whether
    or not that one stays itself (the rule of RELION 3.1, whose scan of all pairs this replaces by a tree).

    Parameters
    ----------
    x, y : (n,) positions, in any one unit
    micrograph : (n,) anything that tells the micrographs apart (names or numbers)
    distance : float, in the unit of `x` and `y`

    Returns
    -------
    (n,) bool, true where the particle stays

    Raises
    ------
    InputError
        `distance` is negative or not finite, or a position is not finite.
    """
    if not (np.isfinite(distance) and distance >= 0):
        raise InputError(f"The distance between duplicates is {distance}; give a finite number >= 0.")
    points = np.column_stack([np.asarray(x, np.float64), np.asarray(y, np.float64)])
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0]) + 1
        raise InputError(f"The position of particle {row} is not a finite number; remove that row first.")
    stays = np.ones(len(points), dtype=bool)
    if len(points) < 2:
        return stays
    # One tree holds all micrographs: a third axis keeps them farther apart than any pair can be.
    _, plane = np.unique(np.asarray(micrograph), return_inverse=True)
    space = np.column_stack([points, plane.ravel() * (2.0 * distance + 1.0)])
    pairs = cKDTree(space).query_pairs(distance, output_type="ndarray")  # i < j in every pair
    stays[pairs[:, 0]] = False
    return stays
