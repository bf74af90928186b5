"""The files of manual picking, as RELION's window saves them; the job and the page write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boxwood.io.coordinates import write_coordinate_list
from boxwood.io.star import write_star

if TYPE_CHECKING:
    import pandas as pd

    from boxwood.io.particles import MicrographSet
    from boxwood.typing import AnyArray

SELECTED, LOCAL, LIST = "micrographs_selected.star", "local_selection.star", "manualpick.star"
# What RELION writes where a click tells nothing: -999, and the green of its six colours.
UNKNOWN, GREEN = -999, 2


def clicked(dialect: str) -> dict[str, float]:
    """What RELION writes of a click, beside its place."""
    kind = {"rlnClassNumber": UNKNOWN} if dialect == "3.1" else {"rlnParticleSelectionType": GREEN}
    return {**kind, "rlnAnglePsi": float(UNKNOWN), "rlnAutopickFigureOfMerit": float(UNKNOWN)}


def as_clicked(table: pd.DataFrame, dialect: str) -> pd.DataFrame:
    """Coordinates with the columns of a manual pick; what the table knows is kept."""
    return table.assign(**{label: value for label, value in clicked(dialect).items() if label not in table})


def write_selection(folder: Path, micrographs: MicrographSet, selected: AnyArray, *, dialect: str) -> None:
    """Write which micrographs are selected, (n,) bool: their table, and the marks that RELION 5 reads."""
    import pandas as pd

    micrographs.select(np.flatnonzero(selected)).write(folder / SELECTED, dialect=dialect)
    names = micrographs.table["rlnMicrographName"]
    marks = pd.DataFrame({"rlnMicrographName": names, "rlnSelected": np.asarray(selected, int)})
    write_star(folder / LOCAL, {"": marks}, dialect=dialect)


def write_list(folder: Path, paths: Mapping[str, Path], *, dialect: str) -> Path:
    """Write the list of coordinate files of RELION 4 and 5, by micrograph, and return it."""
    files = {name: path.as_posix() for name, path in paths.items()}
    write_coordinate_list(folder / LIST, files, dialect=dialect)
    return folder / LIST
