"""Which rows of a file are selected: one column rlnSelected, as RELION's backup_selection.star."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt
import pandas as pd

from boxwood.errors import FileFormatError, InputError
from boxwood.io.star import read_star, write_star

SELECTED = "rlnSelected"


def read_selection(path: str | os.PathLike[str], count: int) -> npt.NDArray[np.bool_]:
    """Read which of `count` rows are selected, (count,).

    Raises
    ------
    FileFormatError
        The file has no column rlnSelected.
    InputError
        It is about another number of rows.
    """
    found = [table[SELECTED] for table in read_star(path).values() if SELECTED in table]
    if not found:
        raise FileFormatError(f"{path} has no column _{SELECTED}; give a selection of rows.")
    selected = np.atleast_1d(np.asarray(found[0], np.float64)) != 0
    if len(selected) != count:
        raise InputError(
            f"{path} is a selection of {len(selected)} rows, but there are {count}; select again."
        )
    return selected


def write_selection(path: str | os.PathLike[str], selected: npt.ArrayLike, *, dialect: str = "3.1") -> None:
    """Write 1 for every row that is selected, and 0 for the others."""
    table = pd.DataFrame({SELECTED: np.asarray(selected, bool).astype(np.int64)})
    write_star(path, {"": table}, dialect=dialect)
