"""Orientations as Euler angles (rot, tilt, psi) in degree; docs/conventions.md, "Orientations"."""

import numpy as np

from boxwood.typing import AnyArray, DoubleArray


def random_orientations(n: int, rng: np.random.Generator) -> DoubleArray:
    """n Euler angles (n, 3), uniform over all orientations."""
    rot, psi = rng.uniform(-180, 180, (2, n))
    tilt = np.rad2deg(np.arccos(rng.uniform(-1, 1, n)))
    return np.stack([rot, tilt, psi], axis=1)


def rotation_matrices(angles_deg: AnyArray) -> DoubleArray:
    """Rotations A with which a point r of the particle is projected to (A r)_x, (A r)_y.

    Parameters
    ----------
    angles_deg : (n, 3)
        rot, tilt, psi: turns about z, the new y and the new z.

    Returns
    -------
    (n, 3, 3) float64
        Heymann, Chagoyen and Belnap (2005), J. Struct. Biol. 151, 196.
    """
    rot, tilt, psi = np.deg2rad(np.asarray(angles_deg, np.float64)).T
    return _about_z(psi) @ _about_y(tilt) @ _about_z(rot)


def _about_z(angle: DoubleArray) -> DoubleArray:
    matrices = np.zeros((len(angle), 3, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angle)
    matrices[:, 0, 1] = np.sin(angle)
    matrices[:, 1, 0] = -np.sin(angle)
    matrices[:, 2, 2] = 1
    return matrices


def _about_y(angle: DoubleArray) -> DoubleArray:
    matrices = np.zeros((len(angle), 3, 3))
    matrices[:, 0, 0] = matrices[:, 2, 2] = np.cos(angle)
    matrices[:, 0, 2] = -np.sin(angle)
    matrices[:, 2, 0] = np.sin(angle)
    matrices[:, 1, 1] = 1
    return matrices
