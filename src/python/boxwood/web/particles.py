"""Particles of a STAR file as a gallery: their order, their pictures, and which of them are marked."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from boxwood.errors import InputError
from boxwood.imaging.alignment import aligned
from boxwood.io.particle_images import ParticleImages
from boxwood.io.particles import ParticleSet
from boxwood.io.selection import read_selection, write_selection
from boxwood.typing import AnyArray, FloatArray, IntArray
from boxwood.web import images

if TYPE_CHECKING:
    from boxwood.web.workspace import Workspace

# Files of a job that may hold particles, the first kind that is there comes first.
_FILES = ("particles.star", "particles_split*.star", "particles_removed.star", "run*_it*_data.star")
_NEEDED = ("rlnAnglePsi", "rlnOriginXAngst", "rlnOriginYAngst")


@dataclass(frozen=True)
class Gallery:
    """The particles of a file, and a reader of their images; `tag` changes with the file."""

    particles: ParticleSet
    images: ParticleImages
    tag: str

    @property
    def can_align(self) -> bool:
        return all(name in self.particles.table for name in _NEEDED)

    def pixels(self, rows: IntArray, *, align: bool = False, low_pass_angstrom: float = 0.0) -> FloatArray:
        """Read the images of some rows, (n, box, box); those that cannot be read are nan.

        Parameters
        ----------
        align : bool
            Turn and shift them as their class average lies.
        low_pass_angstrom : float
            0 or less: none.

        Raises
        ------
        InputError
            If they have not been classified, or boxes of several sizes are asked for at once.
        """
        if align and not self.can_align:
            raise InputError(f"{self.particles.source} has no {', '.join(_NEEDED)}: classify it first")
        box = self.images.box or 1
        found = np.full((len(rows), box, box), np.nan, np.float32)
        good = np.flatnonzero(self.images.usable[rows] & (self.images.boxes[rows] == box))
        chosen = rows[good]
        if len(chosen):
            read = self.images.read(chosen)
            sizes = self.particles.pixel_sizes()[chosen] if align or low_pass_angstrom > 0 else None
            if align and sizes is not None:
                psi, x, y = (self.particles.table[n].to_numpy(np.float64)[chosen] for n in _NEEDED)
                read = aligned(read, psi, np.column_stack([x, y]) / sizes[:, None])
            if low_pass_angstrom > 0 and sizes is not None:
                filtered = zip(read, sizes, strict=True)
                read = np.array([images.band_pass(im, size, low_pass_angstrom, 0) for im, size in filtered])
            found[good] = read
        return found


def particle_files(folder: Path) -> list[str]:
    """Names of the files with particles in a job's folder; of iterations, the last comes first."""
    kinds = (sorted(folder.glob(pattern), reverse="_it" in pattern) for pattern in _FILES)
    return [path.name for kind in kinds for path in kind]


def gallery_of(workspace: Workspace, name: str) -> Gallery:
    """Open the particles of a STAR file; they are kept while they are looked at.

    Raises
    ------
    OutsideError
        If the file, or a stack that it names, is not in the project.
    FileFormatError
        If it holds no particles.
    """
    path = workspace.read(name)
    stat = path.stat()
    tag = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"

    def make() -> tuple[Gallery, int]:
        particles = ParticleSet.read(path)
        found = images_of(workspace, particles)
        return Gallery(particles, found, tag), int(particles.table.memory_usage(deep=True).sum())

    key: Hashable = ("particles", str(path), tag)
    gallery: Gallery = workspace.pictures.get(key, make)
    return gallery


def images_of(workspace: Workspace, particles: ParticleSet) -> ParticleImages:
    """A reader of the images of particles.

    Raises
    ------
    OutsideError
        If one of their stacks is not in the project.
    """
    root = particles.root()
    for stack in particles.table["rlnImageName"].astype("str").str.rpartition("@")[2].unique():
        workspace.read(root / stack)
    return particles.images(root)


def ordered(table: pd.DataFrame, column: str, *, reverse: bool = False) -> IntArray:
    """Row numbers in the order of a column ("" keeps them as they are); what is no number comes last."""
    if column and column not in table:
        raise InputError(f"the particles have no column {column}")
    rows = np.arange(len(table))
    if not column:
        return rows[::-1] if reverse else rows
    values = table[column]
    if not pd.api.types.is_numeric_dtype(values):
        values = pd.Series(pd.factorize(values.astype("str"), sort=True)[0])
    numbers = values.to_numpy(np.float64)
    return np.argsort(-numbers if reverse else numbers, kind="stable")


def shown_values(table: pd.DataFrame, column: str, rows: IntArray) -> dict[str, Any]:
    """The values of a column in these rows: {"values": numbers}, or numbers of {"names": texts}.

    Numbers have six digits; None is none.
    """
    if not column:
        return {"values": []}
    values = table[column].iloc[rows]
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(np.float64)
        known = np.isfinite(numbers)
        size = np.abs(np.where(known & (numbers != 0), numbers, 1.0))
        digits = 10.0 ** np.clip(5 - np.floor(np.log10(size)), -300, 300)
        rounded = (np.round(np.where(known, numbers, 0.0) * digits) / digits).tolist()
        return {
            "values": rounded
            if known.all()
            else [v if k else None for v, k in zip(rounded, known, strict=True)]
        }
    codes, names = pd.factorize(values.astype("str"))
    return {"values": codes.tolist(), "names": [str(name) for name in names]}


def selection_file(workspace: Workspace, name: str) -> Path:
    """Where the selection of a file's rows is kept: beside it, "particles_selection.star"."""
    path = workspace.write(name)
    return workspace.write(path.with_name(f"{path.stem}_selection.star"))


def kept_selection(path: Path, count: int) -> tuple[AnyArray | None, str]:
    """The selection of `count` rows that is kept in a file, (count,) bool; None where there is none.

    One that is of other rows, because the job was run again, counts for nothing; the text says so.
    """
    if not path.exists():
        return None, ""
    try:
        return read_selection(path, count), ""
    except InputError as error:
        return None, f"{error} What is selected now takes its place."


def save_selection(path: Path, count: int, numbers: Iterable[Any], *, selected: bool) -> None:
    """Write a selection in which the rows of these numbers, from 0, are selected or are the only ones not.

    Raises
    ------
    InputError
        If one of them is not there.
    """
    rows = np.full(count, not selected)
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < count:
            raise InputError(f"there is no row {number!r}; they are numbered 0 to {count - 1}")
        rows[number] = selected
    write_selection(path, rows)


def bad_rows(gallery: Gallery) -> AnyArray:
    """Rows whose image cannot be shown."""
    return np.flatnonzero(~gallery.images.usable | (gallery.images.boxes != gallery.images.box))
