"""`run_itNNN_posterior.npz`: the most probable poses of every particle of a 2D classification."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from boxwood.errors import FileFormatError
from boxwood.io.atomic import atomic_write
from boxwood.typing import AnyArray


@dataclass(frozen=True)
class SavedPosterior:
    """In RELION's units and signs; rows are those of run_itNNN_data.star, columns by decreasing weight.

    Attributes
    ----------
    class_number : (n, top) int32
        From 1; 0 where a particle has fewer samples.
    psi_deg : (n, top) float32
        rlnAnglePsi, -180 to 180.
    origin_angstrom : (n, top, 2) float32
        rlnOriginXAngst and rlnOriginYAngst.
    weight : (n, top) float32
        Posterior probability; what a row lacks to 1 is in samples that were not kept.
    """

    class_number: AnyArray
    psi_deg: AnyArray
    origin_angstrom: AnyArray
    weight: AnyArray


def write_posterior(path: str | os.PathLike[str], posterior: SavedPosterior) -> None:
    """Write the arrays by their names, whole or not at all."""
    with atomic_write(path) as file:
        np.savez(file, **vars(posterior))


def read_posterior(path: str | os.PathLike[str]) -> SavedPosterior:
    """Read what `boxwood class2d --save-posterior` wrote.

    Parameters
    ----------
    path : path
        A `run_itNNN_posterior.npz`.

    Returns
    -------
    SavedPosterior

    Raises
    ------
    FileNotFoundError
        There is no such file.
    FileFormatError
        The file is damaged or something else.
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            return SavedPosterior(**dict(file))
    except FileNotFoundError:
        raise
    except Exception as error:  # what NumPy and zipfile raise for damaged bytes has no end
        raise FileFormatError(
            f"{path} cannot be read ({error}); give a run_itNNN_posterior.npz of a 2D classification."
        ) from None
