"""Fewer, larger groups of micrographs for the noise spectra."""

import numpy as np
import numpy.typing as npt

from boxwood.errors import InputError
from boxwood.typing import IntArray

SMALLEST_GROUP = 10


def regroup(group: npt.ArrayLike, scale: npt.ArrayLike, optics_group: npt.ArrayLike, groups: int) -> IntArray:
    """Pour the particles of groups of similar intensity scale together.

    Within each optics group, the old groups are put in the order of their scale and dealt out to new groups
    of nearly equal numbers of particles; an old group is never divided.

    Parameters
    ----------
    group : (n,) int, the old group of each particle (any numbers)
    scale : (n,) the intensity scale of that group
    optics_group : (n,) int
    groups : int, how many new groups to make, about

    Returns
    -------
    (n,) int64, new group numbers 1, 2, ... without gaps

    Raises
    ------
    InputError
        The new groups would have fewer than ten particles.
    """
    group, scale, optics = np.asarray(group), np.asarray(scale, np.float64), np.asarray(optics_group)
    n = len(group)
    if groups < 1 or n < SMALLEST_GROUP * groups:
        raise InputError(
            f"{n} particles in {groups} groups would be fewer than {SMALLEST_GROUP} per group; "
            f"ask for between 1 and {max(1, n // SMALLEST_GROUP)} groups."
        )
    new = np.zeros(n, np.int64)
    made = 0
    for one in np.unique(optics):
        rows = np.flatnonzero(optics == one)
        _, first, member, count = np.unique(
            group[rows], return_index=True, return_inverse=True, return_counts=True
        )
        order = np.argsort(scale[rows][first], kind="stable")
        share = max(1, round(groups * len(rows) / n))
        # The middle of an old group in the queue of particles decides where all of it goes.
        middle = np.cumsum(count[order]) - count[order] / 2
        target = np.empty(len(order), np.int64)
        target[order] = np.floor(middle / len(rows) * share).astype(np.int64)
        _, target = np.unique(target, return_inverse=True)
        new[rows] = made + 1 + target.ravel()[member.ravel()]
        made = int(new.max())
    return new
