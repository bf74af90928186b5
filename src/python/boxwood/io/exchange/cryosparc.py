"""cryoSPARC's datasets (.cs): a NumPy structured array, whose rows are joined to those of others by ``uid``.

Nothing is unpickled. A header that claims more than the file has is refused.
What a job did not change is in a second file, ``*_passthrough_*.cs``. File names inside start from the
cryoSPARC project's folder; exported ones begin with ``>`` and start from the folder of the file itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tokenize import TokenError

import numpy as np

from boxwood.errors import FileFormatError, InputError
from boxwood.io.atomic import atomic_write, write_text
from boxwood.typing import AnyArray, DoubleArray

_MAGIC, _COMPRESSED = b"\x93NUMPY", b"\x95CSDAT"
# What NumPy raises on damaged headers, some of it by way of Python's tokenizer.
_DAMAGED = (
    *(ValueError, TypeError, LookupError, AttributeError, OSError, EOFError, SyntaxError, TokenError),
    *(MemoryError, OverflowError, RecursionError),
)
_LONGEST_HEADER = 1 << 20  # bytes; a dataset of a hundred fields has some 6000
_GROUP_VERSION = "v4.5.0"  # of the cryoSPARC whose .csg files ours are like


@dataclass(frozen=True)
class Dataset:
    """Rows of a dataset, by field: ``"blob/path"``, ``"ctf/df1_A"``, ...

    Attributes
    ----------
    fields : dict of str to (n, ...) array
    source : str
        The file, for errors.
    hint : str
        What to do where a field is missing.
    """

    fields: dict[str, AnyArray]
    source: str
    hint: str = ""

    def __len__(self) -> int:
        return len(self.fields["uid"])

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def numbers(self, name: str, width: int | None = None, *, positive: bool = False) -> DoubleArray:
        """Values of a field as (n,) or (n, width) float64, all of them finite.

        Raises
        ------
        FileFormatError
        """
        values = self._field(name)
        shape = (len(self),) if width is None else (len(self), width)
        if values.shape != shape or values.dtype.kind not in "fiu":
            raise FileFormatError(
                f"{self.source} field {name} is {values.dtype} of shape {values.shape}, expected numbers of "
                f"shape {shape}; give a file that cryoSPARC wrote."
            )
        result = values.astype(np.float64)
        bad = ~np.isfinite(result) if not positive else ~(np.isfinite(result) & (result > 0))
        if bad.any():
            row = int(np.flatnonzero(bad.reshape(len(self), -1).any(axis=1))[0])
            raise FileFormatError(
                f"{self.source} field {name} is {values[row]} in row {row + 1}, expected a "
                f"{'positive ' * positive}number; leave that particle out."
            )
        return result

    def texts(self, name: str) -> list[str]:
        """Values of a field as text.

        Raises
        ------
        FileFormatError
        """
        values = self._field(name)
        if values.ndim != 1 or values.dtype.kind not in "SU":
            raise FileFormatError(
                f"{self.source} field {name} is {values.dtype} of shape {values.shape}, expected text; give "
                "a file that cryoSPARC wrote."
            )
        try:
            return [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]
        except UnicodeDecodeError:
            raise FileFormatError(
                f"{self.source} field {name} is not UTF-8 text; rename those files in cryoSPARC."
            ) from None

    def _field(self, name: str) -> AnyArray:
        if name not in self.fields:
            raise FileFormatError(f"{self.source} has no field {name}; {self.hint or 'give another file'}.")
        return self.fields[name]

    def select(self, rows: AnyArray) -> Dataset:
        return Dataset({name: values[rows] for name, values in self.fields.items()}, self.source, self.hint)


def read_dataset(path: str | os.PathLike[str], passthrough: Iterable[str | os.PathLike[str]] = ()) -> Dataset:
    """Read a dataset, with the fields of further ones that have the same particles.

    A field that several have is taken from the first.

    Raises
    ------
    FileFormatError
        A file is damaged, compressed, or holds Python objects.
    InputError
        Particles of the first are missing in another.
    """
    path = Path(path)
    rows = _rows(path)
    fields = {name: np.asarray(rows[name]) for name in rows.dtype.names or ()}
    for other in map(Path, passthrough):
        more = _rows(other)
        order = np.argsort(more["uid"], kind="stable")
        sought = np.searchsorted(more["uid"], fields["uid"], sorter=order)
        place = order[np.minimum(sought, len(order) - 1)] if len(order) else np.zeros(0, np.int64)
        if len(fields["uid"]) and (not len(order) or (more["uid"][place] != fields["uid"]).any()):
            missing = int((more["uid"][place] != fields["uid"]).sum()) if len(order) else len(fields["uid"])
            raise InputError(
                f"{missing} of the {len(fields['uid'])} rows of {path} are not in {other}; give the "
                "passthrough file of the same job and output."
            )
        new = [name for name in more.dtype.names or () if name not in fields]
        fields |= {name: np.asarray(more[name][place]) for name in new}
    return Dataset(fields, str(path), _hint(path))


def _hint(path: Path) -> str:
    beside = sorted(p.name for p in path.parent.glob("*passthrough*.cs") if p != path)
    return (
        f"give also --passthrough {path.parent / beside[0]}" if beside else "give its passthrough file, too"
    )


def _rows(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        magic = file.read(6)
    if magic == _COMPRESSED:
        raise FileFormatError(
            f"{path} is a compressed stream of cryoSPARC Tools; load it there and save it as a .cs file."
        )
    if magic != _MAGIC:
        raise FileFormatError(f"{path} is no .cs file: it does not begin as a NumPy array does.")
    try:
        # Mapped first, which refuses a header that claims more than there is; then read, because a mapped
        # page that a failing disk does not give ends the process.
        np.load(path, mmap_mode="r", allow_pickle=False, max_header_size=_LONGEST_HEADER)
        rows = np.load(path, allow_pickle=False, max_header_size=_LONGEST_HEADER)
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileFormatError(
            f"{path} is damaged, or not written by cryoSPARC ({reason}); copy it again."
        ) from None
    if rows.ndim != 1 or rows.dtype.names is None or "uid" not in rows.dtype.names:
        raise FileFormatError(f"{path} is no table with a field uid; give a .cs file that cryoSPARC wrote.")
    if rows["uid"].dtype.kind not in "ui" or rows["uid"].ndim != 1:
        raise FileFormatError(
            f"{path} field uid is {rows['uid'].dtype}, expected whole numbers; write it anew."
        )
    unique, counts = np.unique(rows["uid"], return_counts=True)
    if len(unique) < len(rows):
        raise FileFormatError(f"{path} has uid {unique[counts.argmax()]} in several rows; write it anew.")
    return rows


def without_mark(path: str) -> str:
    """A file name without the ``>`` of exported datasets."""
    return path.removeprefix(">")


def write_dataset(path: str | os.PathLike[str], fields: Mapping[str, AnyArray]) -> None:
    """Write a dataset as cryoSPARC does; text becomes bytes."""
    columns = {n: np.char.encode(v, "utf-8") if v.dtype.kind == "U" else v for n, v in fields.items()}
    dtype = [(name, values.dtype.str, values.shape[1:]) for name, values in columns.items()]
    rows = np.zeros(len(columns["uid"]), dtype)
    for name, values in columns.items():
        rows[name] = values
    with atomic_write(path) as file:
        np.lib.format.write_array(file, rows, allow_pickle=False)


def write_result_group(
    path: str | os.PathLike[str], dataset: str, kind: str, results: Iterable[str], count: int
) -> None:
    """Write the .csg file by which cryoSPARC imports a dataset beside it.

    Parameters
    ----------
    path : path
    dataset : str
        Name of the .cs file in the same folder.
    kind : {"particle", "template"}
    results : iterable of str
        What the fields begin with: "blob", "ctf", ...
    count : int
    """
    name = Path(path).stem
    now = datetime.now().isoformat(sep=" ", timespec="seconds")
    lines = [f"created: {now}", "group:", f"  description: {name}", f"  name: {name}"]
    lines += [f"  title: {name}", f"  type: {kind}", "results:"]
    for result in sorted(results):
        lines += [f"  {result}:", f"    metafile: '>{dataset}'", f"    num_items: {count}"]
        lines.append(f"    type: {kind}.{result}")
    write_text(Path(path), "\n".join([*lines, f"version: {_GROUP_VERSION}", ""]))
