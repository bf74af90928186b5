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
    pairs = _pairs(x, y, micrograph, distance)
    stays = np.ones(len(np.asarray(x)), dtype=bool)
    stays[pairs[:, 0]] = False
    return stays


def _pairs(
    x: npt.ArrayLike, y: npt.ArrayLike, micrograph: npt.ArrayLike, distance: float
) -> npt.NDArray[np.int64]:
    """(m, 2) rows i < j of the same micrograph, at `distance` or nearer."""
    if not (np.isfinite(distance) and distance >= 0):
        raise InputError(f"The distance between duplicates is {distance}; give a finite number >= 0.")
    points = np.column_stack([np.asarray(x, np.float64), np.asarray(y, np.float64)])
    if not np.isfinite(points).all():
        row = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0]) + 1
        raise InputError(f"The position of particle {row} is not a finite number; remove that row first.")
    if len(points) < 2:
        return np.zeros((0, 2), np.int64)
    # One tree holds all micrographs: a third axis keeps them farther apart than any pair can be.
    _, plane = np.unique(np.asarray(micrograph), return_inverse=True)
    space = np.column_stack([points, plane.ravel() * (2.0 * distance + 1.0)])
    return np.asarray(cKDTree(space).query_pairs(distance, output_type="ndarray"), np.int64)


def best_of_duplicates(
    x: npt.ArrayLike, y: npt.ArrayLike, micrograph: npt.ArrayLike, distance: float, score: npt.ArrayLike
) -> npt.NDArray[np.int64]:
    """For every particle, the better one of the same micrograph that stands for it, or -1 if it stays.

    The particle with the highest score stays and takes the place of all at `distance` or nearer, then the
    best of what is left, and so on; of equal scores the earlier row counts as the better one.

    Parameters
    ----------
    x, y, micrograph, distance
        As in `without_duplicates`.
    score : (n,)

    Returns
    -------
    (n,) int64, row numbers from 0
    """
    pairs = _pairs(x, y, micrograph, distance)
    score = np.asarray(score, np.float64)
    stands_in = np.full(len(score), -1, np.int64)
    rank = np.empty(len(score), np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(len(score))
    first = rank[pairs[:, 0]] < rank[pairs[:, 1]]
    better, worse = np.where(first, pairs.T, pairs.T[::-1])
    for i in np.argsort(rank[better], kind="stable"):
        if stands_in[better[i]] < 0 and stands_in[worse[i]] < 0:
            stands_in[worse[i]] = better[i]
    return stands_in
