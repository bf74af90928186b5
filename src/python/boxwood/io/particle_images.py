"""Read particles from their stacks, in batches."""

from __future__ import annotations

import os
from copy import copy
from pathlib import Path

import numpy as np
import pandas as pd

from boxwood.errors import BoxwoodError, FileFormatError
from boxwood.io.mrc import ImageStack, read_stack
from boxwood.typing import AnyArray, FloatArray

_ROWS = 50_000  # whose names are taken apart at once


class ParticleImages:
    """The images of many particles, read when asked for, sorted by stack and not by row.

    All stacks' headers are read once, when the reader is made. A stack that cannot be read, a number beyond
    its end and an image of another size do not stop anything: they are named in `bad`, and `usable` tells
    which rows can be read.

    Parameters
    ----------
    names : Series of str
    root : path
        Folder that names start from.
    groups : (n,) int, optional
        From 0: particles of one group have one box size. Default: all.

    Attributes
    ----------
    files : list of Path
    file_of_row : (n,) int
    boxes : (n,) int
        Edge of each image in pixels: that of most particles of its group.
    usable : (n,) bool
        Rows whose image can be read.
    bad : dict of str to str
        What cannot be read (a file, or NUMBER@FILE) and why.
    """

    def __init__(
        self, names: pd.Series, root: str | os.PathLike[str] = "", groups: AnyArray | None = None
    ) -> None:
        self._names = names
        self._index, self.file_of_row = np.empty((2, len(names)), dtype=np.int64)
        known: dict[str, int] = {}
        for first in range(0, len(names), _ROWS):  # the parts of a name take ten times its room
            rows = slice(first, first + _ROWS)
            parts = names.iloc[rows].astype("str").str.rpartition("@")
            numbers = pd.to_numeric(parts[0].replace("", "1"), errors="coerce").fillna(0).to_numpy()
            self._index[rows] = numbers.astype(np.int64) - 1
            codes, found = pd.factorize(parts[2])
            self.file_of_row[rows] = np.array([known.setdefault(name, len(known)) for name in found])[codes]
        files = list(known)
        self._homes: tuple[AnyArray, AnyArray] | None = None  # before they were moved
        self.bad: dict[str, str] = {}
        self.files = [Path(root) / file for file in files]
        self._stacks = [self._open(path, str(file)) for path, file in zip(self.files, files, strict=True)]
        self._check([str(file) for file in files], np.zeros(len(names), int) if groups is None else groups)

    def __len__(self) -> int:
        return len(self._index)

    def _open(self, path: Path, name: str) -> ImageStack | None:
        try:
            return read_stack(path)
        except (BoxwoodError, OSError) as error:
            self.bad[name] = str(error)
            return None

    @property
    def box(self) -> int:
        """Edge of the images of most particles."""
        return int(np.bincount(self.boxes).argmax()) if len(self.boxes) else 0

    def give_up(self, row: int, reason: str) -> None:
        """Note that the image of a row turned out to be unreadable."""
        self.usable[row] = False
        self.bad[str(self._names.iloc[row])] = reason

    def select(self, rows: AnyArray) -> ParticleImages:
        """The images of some rows alone, to be sent to another process; stacks are not opened again.

        Those that were moved are read from where they were.
        """
        some = copy(self)
        file_of_row, index = self._homes or (self.file_of_row, self._index)
        some._homes = None
        used, some.file_of_row = np.unique(file_of_row[rows], return_inverse=True)
        some.files = [self.files[file] for file in used]
        some._stacks = [self._stacks[file] for file in used]
        some._index, some._names = index[rows], self._names.iloc[rows]
        some.boxes, some.usable, some.bad = self.boxes[rows], self.usable[rows], {}
        return some

    def _check(self, files: list[str], groups: AnyArray) -> None:
        counts = np.array([0 if stack is None else len(stack) for stack in self._stacks], dtype=np.int64)
        boxes = np.array(
            [
                stack.shape[1] if stack is not None and stack.shape[1] == stack.shape[2] else 0
                for stack in self._stacks
            ],
            dtype=np.int64,
        )
        row_box, opened = boxes[self.file_of_row], counts[self.file_of_row] > 0
        self.boxes = np.zeros(len(row_box), dtype=np.int64)
        for group in np.unique(groups):
            square = row_box[(groups == group) & (row_box > 0)]
            self.boxes[groups == group] = np.bincount(square).argmax() if len(square) else 0
        exists = (self._index >= 0) & (self._index < counts[self.file_of_row])
        self.usable = opened & exists & (row_box == self.boxes) & (self.boxes > 0)
        for row in np.flatnonzero(opened & ~exists):
            count = counts[self.file_of_row[row]]
            self.bad[str(self._names.iloc[row])] = f"the stack has {count} images, numbered from 1"
        for row in np.flatnonzero(opened & ((row_box != self.boxes) | (row_box == 0))):
            stack, box = self._stacks[self.file_of_row[row]], self.boxes[row]
            assert stack is not None  # it was opened
            shape = " x ".join(map(str, stack.shape[:0:-1]))
            self.bad[files[self.file_of_row[row]]] = f"images are {shape} pixels, expected {box} x {box}"

    @property
    def dtypes(self) -> list[np.dtype]:
        """Types of the pixels in `files`; float32 stands for those that cannot be read."""
        return [np.dtype(np.float32) if stack is None else stack.dtype for stack in self._stacks]

    def move(self, rows: AnyArray, stack: ImageStack, indices: AnyArray) -> None:
        """From now on, read rows (n,) in this process as the images `indices` (n,) of another stack."""
        self._homes = self._homes or (self.file_of_row.copy(), self._index.copy())
        self._stacks.append(stack)
        self.files.append(stack.path)
        self.file_of_row[rows] = len(self.files) - 1
        self._index[rows] = indices

    def read(self, rows: AnyArray | slice | list[int]) -> FloatArray:
        """Read the images of some rows, which have one size.

        Parameters
        ----------
        rows : indices, boolean mask or slice

        Returns
        -------
        (n, box, box) float32
            In the order of `rows`.

        Raises
        ------
        FileFormatError
            One of the rows is not `usable`.
        """
        chosen = (
            rows if isinstance(rows, np.ndarray) and rows.dtype.kind == "i" else np.arange(len(self))[rows]
        )
        return self.stored(chosen, np.dtype(np.float32))

    def stored(self, rows: AnyArray, dtype: np.dtype) -> AnyArray:
        """The same for indices (n,) whose stacks have this type, in it; any type goes to float32."""
        broken = rows[~self.usable[rows]]
        if len(broken):
            name = self._names.iloc[broken[0]]
            raise FileFormatError(f"the image {name} cannot be read; leave its particle out.")
        box = int(self.boxes[rows[0]]) if len(rows) else self.box
        images = np.empty((len(rows), box, box), dtype=dtype)
        order = np.lexsort((self._index[rows], self.file_of_row[rows]))
        files = self.file_of_row[rows][order]
        parts = []
        for places in np.split(order, np.flatnonzero(np.diff(files)) + 1) if len(order) else []:
            stack = self._stacks[self.file_of_row[rows[places[0]]]]
            assert stack is not None  # its rows are usable
            parts.append((stack, places))
            stack.read_ahead(self._index[rows[places]])  # so that the disk knows of all at once
        for stack, places in parts:
            images[places] = stack.stored(self._index[rows[places]])
        return images
