"""Sets of micrographs and of particles: a table of rows and the optics groups the rows refer to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from boxwood.errors import FileFormatError, InputError
from boxwood.io.optics import per_row, split_optics
from boxwood.io.particle_images import ParticleImages
from boxwood.io.star import Table, read_star, write_star
from boxwood.typing import AnyArray, DoubleArray

if TYPE_CHECKING:
    from typing_extensions import Self

# Column of a CTF row, and what RELION takes where a table does not have it (None: it must be there).
_CTF = {
    "rlnDefocusU": None,
    "rlnDefocusV": None,
    "rlnDefocusAngle": 0.0,
    "rlnPhaseShift": 0.0,
    "rlnVoltage": None,
    "rlnSphericalAberration": None,
    "rlnAmplitudeContrast": None,
    "rlnCtfBfactor": 0.0,
    "rlnCtfScalefactor": 1.0,
}


@dataclass
class StarSet:
    """Rows and their optics groups, as they stand in a STAR file.

    Attributes
    ----------
    optics : DataFrame
        One row a group, with ``rlnOpticsGroup`` and ``rlnOpticsGroupName``.
    table : DataFrame
        One row a micrograph or particle, with ``rlnOpticsGroup``. Columns nobody knows are kept.
    source : str
        Where it was read from, for errors and to find images.
    others : dict
        The file's other tables, written back as they are.
    """

    optics: pd.DataFrame
    table: pd.DataFrame
    source: str = "the table"
    others: dict[str, Table] = field(default_factory=dict)

    name: ClassVar[str]
    names_read: ClassVar[tuple[str, ...]]
    key: ClassVar[str]
    pixel_labels: ClassVar[tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.table)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a STAR file of RELION 3.0 to 5; tables of 3.0 are given optics groups.

        Raises
        ------
        FileFormatError
            The file has no such table, or rows refer to optics groups that are not there.
        """
        tables = read_star(path)
        frames = {name: table for name, table in tables.items() if isinstance(table, pd.DataFrame)}
        fitting = [name for name, table in frames.items() if name != "optics" and cls.key in table]
        if not fitting:
            raise FileFormatError(
                f"{path} has no table with a column _{cls.key}; give a STAR file of {cls.name}."
            )
        chosen = next((name for name in cls.names_read if name in fitting), fitting[0])
        table = frames[chosen].reset_index(drop=True)
        others = {name: other for name, other in tables.items() if name not in ("optics", chosen)}
        if "optics" not in tables:
            optics, table = split_optics(table, cls.pixel_labels)
        else:
            optics = _optics(tables["optics"], str(path))
            table = _with_groups(table, optics, str(path))
        return cls(optics, table, str(path), others)

    def write(self, path: str | os.PathLike[str], *, dialect: str = "3.1") -> None:
        """Write optics and rows as RELION does, whole or not at all.

        Parameters
        ----------
        path : path
        dialect : {"3.1", "5"}
        """
        write_star(path, {"optics": self.optics, self.name: self.table, **self.others}, dialect=dialect)

    def select(self, rows: AnyArray | slice) -> Self:
        """The set with some of its rows: a boolean mask, indices or a slice; optics stay whole."""
        return replace(self, table=self.table.iloc[rows].reset_index(drop=True))

    def pixel_sizes(self) -> DoubleArray:
        """Pixel size of every row in Angstrom, from its optics group.

        Raises
        ------
        InputError
            The optics do not tell it.
        """
        label = next((label for label in self.pixel_labels if label in self.optics), self.pixel_labels[0])
        return per_row(self.optics, self.table, label, self.source, positive=True)

    def pixel_size_of_groups(self) -> dict[int, float]:
        """Pixel size in Angstrom by number of optics group, for the groups in use."""
        groups = self.table["rlnOpticsGroup"].to_numpy()
        unique, first = np.unique(groups, return_index=True)
        return dict(zip(unique.tolist(), self.pixel_sizes()[first].tolist(), strict=True))

    def has_ctf(self) -> bool:
        """Whether `ctf_rows` can be made."""
        return all(
            label in self.table or label in self.optics or label == "rlnDefocusV"
            for label, default in _CTF.items()
            if default is None
        )

    def root(self) -> Path:
        """The folder that the names in the table start from.

        RELION runs in the project's folder. When the first image is not below the current folder, the folder
        of the STAR file is tried, and the folders above it; the current folder is the answer where all fail.
        """
        if not len(self.table):
            return Path()
        name = str(self.table[self.key].iloc[0]).rpartition("@")[2]
        folders = [Path(), *Path(os.path.abspath(self.source)).parents]
        return next((folder for folder in folders if (folder / name).is_file()), Path())


@dataclass
class MicrographSet(StarSet):
    """Micrographs (``data_micrographs``); see `StarSet`."""

    name = "micrographs"
    names_read = ("micrographs", "movies", "images", "")
    key = "rlnMicrographName"
    pixel_labels = ("rlnMicrographPixelSize", "rlnMicrographOriginalPixelSize")


@dataclass
class ParticleSet(StarSet):
    """Particles (``data_particles``); see `StarSet`."""

    name = "particles"
    names_read = ("particles", "images", "")
    key = "rlnImageName"
    pixel_labels = ("rlnImagePixelSize",)

    def images(
        self, root: str | os.PathLike[str] | None = None, groups: AnyArray | None = None
    ) -> ParticleImages:
        """A reader for the particles' images.

        Parameters
        ----------
        root : path
            The folder that image names start from; `root()` where it is not given.
        groups : (n,) int, optional
            From 0: particles of one group have one box size. Default: all.
        """
        root = self.root() if root is None else Path(root)
        return ParticleImages(self.table["rlnImageName"], root, groups)


def ctf_rows(rows: StarSet, *, complete: bool = True) -> DoubleArray:
    """CTF parameters of every row, in the order of `Backend.ctf`.

    Parameters
    ----------
    rows : StarSet
    complete : bool
        Refuse values that are no numbers; otherwise they are nan.

    Returns
    -------
    (n, 9) float64
        Defocus U and V (Angstrom), astigmatism angle (degree), phase shift (degree), voltage (kV), spherical
        aberration (mm), amplitude contrast, B-factor (Angstrom^2), scale.

    Raises
    ------
    InputError
        A parameter is missing, or a row's is no number.
    """
    columns = []
    for label, default in _CTF.items():
        if label in rows.optics and label not in rows.table:
            columns.append(per_row(rows.optics, rows.table, label, rows.source, complete=complete))
        elif label in rows.table:
            columns.append(rows.table[label].to_numpy(dtype=np.float64))
        elif label == "rlnDefocusV":
            columns.append(columns[0])
        elif default is not None:
            columns.append(np.full(len(rows), default))
        else:
            raise InputError(
                f"{rows.source} has no _{label}, which the CTF needs; estimate the CTF first, "
                "or do without it (--no-ctf, or the box `CTF` of the form)"
            )
    result = np.stack(columns, axis=1)
    bad = np.flatnonzero(~np.isfinite(result).all(axis=1))
    if complete and len(bad):
        name = rows.table[rows.key].iloc[bad[0]]
        raise InputError(
            f"{rows.source} has CTF parameters that are no numbers in {len(bad)} rows, the first is "
            f"{bad[0] + 1} ({name}); leave these rows out or estimate their CTF."
        )
    return result


def _optics(table: Table, source: str) -> pd.DataFrame:
    optics = pd.DataFrame([table]) if isinstance(table, Mapping) else table
    if "rlnOpticsGroup" not in optics or not len(optics):
        raise FileFormatError(f"{source} table data_optics has no _rlnOpticsGroup; number its rows from 1.")
    if optics["rlnOpticsGroup"].duplicated().any():
        raise FileFormatError(f"{source} table data_optics has a group twice; number its rows from 1.")
    return optics


def _with_groups(table: pd.DataFrame, optics: pd.DataFrame, source: str) -> pd.DataFrame:
    if "rlnOpticsGroup" not in table:
        if len(optics) > 1:
            raise FileFormatError(
                f"{source} has {len(optics)} optics groups and rows without _rlnOpticsGroup; add that column."
            )
        return table.assign(rlnOpticsGroup=optics["rlnOpticsGroup"].iloc[0])
    missing = set(table["rlnOpticsGroup"].unique()) - set(optics["rlnOpticsGroup"])
    if missing:
        raise FileFormatError(
            f"{source} has rows of optics group {min(missing)}, which data_optics lacks; add it there."
        )
    return table
