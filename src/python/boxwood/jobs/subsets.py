"""What the select jobs share: one way at a time, rows of a set, and files of such rows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from boxwood.errors import InputError
from boxwood.jobs.job import JobResult
from boxwood.options.joboptions import Switched
from boxwood.options.kinds import Kind
from boxwood.typing import IntArray

if TYPE_CHECKING:
    from pathlib import Path

    from boxwood.io.particles import MicrographSet, ParticleSet
    from boxwood.jobs.context import JobContext

    Items = TypeVar("Items", MicrographSet, ParticleSet)

# RELION's form of Select as it is when nothing is chosen; the options of a job replace what they answer to.
SELECT_FIELDS = {
    "fn_model": "",
    "fn_mic": "",
    "fn_data": "",
    "fn_coords": "",
    "do_recenter": "No",
    "do_regroup": "No",
    "nr_groups": "1",
    "do_select_values": "No",
    "select_label": "rlnCtfMaxResolution",
    "select_minval": "-9999.",
    "select_maxval": "9999.",
    "do_discard": "No",
    "discard_label": "rlnImageName",
    "discard_sigma": "4",
    "do_split": "No",
    "do_random": "No",
    "split_size": "100",
    "nr_split": "-1",
    "do_remove_duplicates": "No",
    "do_class_ranker": "No",
    "do_filaments": "No",
    "duplicate_threshold": "30",
    "image_angpix": "-1",
}

# RELION can also make parts of a given size; here one says how many.
SPLIT = Switched("do_split", {"nr_split": "-1"}, {"split_size": "-1"})
_BETWEEN = re.compile(r"(\S+) <= (rln\w+) <= (\S+)")


class _Between:
    """RELION's selection by values: a label between two numbers, which are part of it."""

    names = ("do_select_values", "select_label", "select_minval", "select_maxval")

    def write(self, value: str | None, kind: Kind) -> dict[str, str]:
        found = _BETWEEN.fullmatch(value or "")
        if not found:
            return {}
        low, label, high = found.groups()
        return dict(zip(self.names, ("Yes", label, low, high), strict=True))

    def read(self, form: Mapping[str, str]) -> str | None:
        switch, label, low, high = (form.get(name, "") for name in self.names)
        return f"{low} <= {label} <= {high}" if switch == "Yes" else None


BETWEEN = _Between()


def exactly_one(what: str, **ways: Any) -> str:
    """The name of the only way that was given.

    Raises
    ------
    InputError
        None was given, or more than one; all their flags are listed.
    """
    given = [name for name, value in ways.items() if value is not None and value is not False and value != ()]
    if len(given) == 1:
        return given[0]
    flags = {name: "--" + name.replace("_", "-") for name in ways}
    found = " and ".join(flags[name] for name in given) + " were given" if given else "nothing was given"
    choice = ", ".join(flags.values())
    raise InputError(f"{what} are selected in one way at a time: {found}; give one of {choice}.")


def split_rows(rows: int, parts: int, seed: int | None = None) -> list[IntArray]:
    """Divide ``range(rows)`` into `parts` pieces whose sizes differ by one at most; none is empty.

    Each piece is in the order of the table. With a `seed` the rows are dealt out at random.

    Raises
    ------
    InputError
        There are more parts than rows, or fewer than one part.
    """
    if not 1 <= parts <= rows:
        raise InputError(f"{rows} rows cannot be split into {parts} parts; give a number from 1 to {rows}.")
    order = np.arange(rows) if seed is None else np.random.default_rng(seed).permutation(rows)
    return [np.sort(piece) for piece in np.array_split(order, parts)]


def random_rows(rows: int, count: int, seed: int) -> IntArray:
    """`count` different row numbers at random, in the order of the table.

    Raises
    ------
    InputError
        There are fewer rows than that.
    """
    if not 1 <= count <= rows:
        raise InputError(f"{count} of {rows} rows cannot be drawn; give a number from 1 to {rows}.")
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def write_rows(items: Items, rows: IntArray, path: Path, context: JobContext) -> Items:
    """Write these rows and return them."""
    chosen = items.select(rows)
    chosen.write(path, dialect=context.dialect)
    return chosen


def part_nodes(kind: str, parts: int) -> dict[str, str]:
    """The files of the parts; `kind` is "micrographs" or "particles"."""
    return {f"{kind}_split{number}.star": kind for number in range(1, parts + 1)}


def write_parts(items: Items, parts: list[IntArray], context: JobContext, kind: str) -> JobResult:
    """Write each of `parts` as particles_split1.star, 2, ... (or micrographs_split...); see `part_nodes`."""
    files, tables = {}, {}
    for file, rows in zip(part_nodes(kind, len(parts)), parts, strict=True):
        path = context.output / file
        files[path.stem] = path
        tables[path.stem] = write_rows(items, rows, path, context).table
    sizes = ", ".join(str(len(rows)) for rows in parts)
    return JobResult(files=files, tables=tables, summary=f"{len(parts)} parts of {sizes} {kind}")
