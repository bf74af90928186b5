"""What every reader of coordinates returns, and the labels it uses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from boxwood.errors import FileFormatError
from boxwood.io.particles import ParticleSet
from boxwood.typing import AnyArray

X, Y, FOM, MICROGRAPH = (
    "rlnCoordinateX",
    "rlnCoordinateY",
    "rlnAutopickFigureOfMerit",
    "rlnMicrographName",
)


@dataclass(frozen=True)
class Picks:
    """The particles of one micrograph, as another program saw it.

    Attributes
    ----------
    micrograph : str
        Its name or path, as the file has it; the file's own name where the file has none.
    table : DataFrame
        With ``rlnCoordinateX`` and ``rlnCoordinateY`` (float64): centres of particles, counted from the
        centre of the first pixel, y along the rows; and ``rlnAutopickFigureOfMerit`` where there are scores.
    source : str
        Where they are from, for errors.
    size : (float, float), optional
        Width and height of the image that the coordinates count in, in units of the coordinates.
    unit_angstrom : float, optional
        What one unit of the coordinates is, where the file says it.
    diameter : float, optional
        Edge of the boxes in units of the coordinates, where the file has boxes.
    """

    micrograph: str
    table: pd.DataFrame
    source: str
    size: tuple[float, float] | None = None
    unit_angstrom: float | None = None
    diameter: float | None = None


@dataclass(frozen=True)
class ForeignParticles:
    """Particles of another program, in RELION's columns.

    Attributes
    ----------
    particles : ParticleSet
        Image names are ``NUMBER@FILE`` and micrograph names what the other program calls them.
    sizes : list of (float, float)
        Width and height of the image that the coordinates of each row count in; empty where the file does
        not say.
    unit_angstrom : float, optional
        What one unit of the coordinates is, where the file says it.
    left_out : list of str
        What the file has and RELION's columns here have not.
    """

    particles: ParticleSet
    sizes: list[tuple[float, float]] = field(default_factory=list)
    unit_angstrom: float | None = None
    left_out: list[str] = field(default_factory=list)


def by_micrograph(
    table: pd.DataFrame, source: str, describe: Callable[[int], Mapping[str, object]] | None = None
) -> list[Picks]:
    """Divide a table by its column of micrographs, in the order of their first rows.

    `describe` returns further attributes of `Picks` for the micrograph of a row.
    """
    groups = table.groupby(MICROGRAPH, sort=False)
    return [
        Picks(
            str(name),
            rows.drop(columns=MICROGRAPH).reset_index(drop=True),
            source,
            **(describe(int(rows.index[0])) if describe else {}),  # type: ignore[arg-type]
        )
        for name, rows in groups
    ]


def numbers(values: Iterable[object], what: str, source: str) -> AnyArray:
    """Values as float64, all of them finite.

    Raises
    ------
    FileFormatError
        Naming the row, from 1.
    """
    column = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(~np.isfinite(column))
    if len(bad):
        shown = str(list(values)[bad[0]])[:40]
        raise FileFormatError(
            f"{source} row {bad[0] + 1}: {what} is {shown}, expected a number; repair it or leave it out."
        )
    return column
