"""Choose micrographs: the first ones, by name, by their metadata, at random, or all of them in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.subsets import (
    BETWEEN,
    SELECT_FIELDS,
    SPLIT,
    exactly_one,
    part_nodes,
    random_rows,
    split_rows,
    write_parts,
    write_rows,
)
from boxwood.options import Options, option
from boxwood.options.kinds import Kind

if TYPE_CHECKING:
    from boxwood.io.particles import MicrographSet
    from boxwood.typing import IntArray


class _MicrographsField:
    """RELION's form has one field for micrographs and another for coordinates."""

    names = ("fn_mic", "fn_coords")

    def write(self, value: Path, kind: Kind) -> dict[str, str]:
        return {self.names[value.name.startswith("coords_suffix_")]: str(value)}

    def read(self, form: Mapping[str, str]) -> str | None:
        return form.get("fn_mic") or form.get("fn_coords") or None


SELECTED = "micrographs_selected.star"
WAYS = ("first", "names", "where", "random", "split")


@dataclass(frozen=True, kw_only=True)
class SelectMicrographsOptions(Options):
    micrographs: Path = option(
        "micrographs STAR file, or RELION 3's coords_suffix_*.star, which names one",
        group="I/O",
        input="micrographs",
        joboption=_MicrographsField(),
        flag="--i",
    )
    first: int | None = option("keep the first so many micrographs", None, group="Subsets", at_least=1)
    names: tuple[str, ...] | None = option(
        "keep the micrographs of these names; a name may be whole or its last part, with or without suffix",
        None,
        group="Subsets",
    )
    where: str | None = option(
        "keep the micrographs for which this holds, for example 'rlnCtfMaxResolution < 6'",
        None,
        group="Subsets",
        joboption=BETWEEN,
        flag="--select --minval --maxval",
    )
    random: int | None = option(
        "keep so many micrographs, drawn at random", None, group="Subsets", at_least=1
    )
    split: int | None = option(
        "keep all micrographs, in so many files of equal size",
        None,
        group="Subsets",
        at_least=1,
        joboption=SPLIT,
        flag="--nr_split",
    )
    seed: int = option("seed of the random numbers", 1, group="Subsets", at_least=0, flag="--random_seed")

    def validate(self) -> None:
        exactly_one("Micrographs", **{way: getattr(self, way) for way in WAYS})


def run(options: SelectMicrographsOptions, context: JobContext) -> JobResult:
    """Write micrographs_selected.star, or micrographs_split1.star, 2, ... ."""
    from boxwood.io.particles import MicrographSet

    way = exactly_one("Micrographs", **{way: getattr(options, way) for way in WAYS})
    micrographs = MicrographSet.read(micrographs_star(options.micrographs))
    total = len(micrographs.table)
    if way == "split":
        parts = split_rows(total, options.split or 0)
        return write_parts(micrographs, parts, context, "micrographs")
    rows = _chosen(micrographs, way, options)
    if not len(rows):
        raise InputError(f"No micrograph of the {total} in {options.micrographs} is selected by --{way}.")
    path = context.output / SELECTED
    chosen = write_rows(micrographs, rows, path, context)
    summary = f"{len(rows)} of {total} micrographs selected"
    return JobResult(
        files={"micrographs": path},
        tables={"micrographs": chosen.table},
        values={"micrographs": len(rows)},
        summary=summary,
    )


def micrographs_star(path: Path) -> Path:
    """The micrographs STAR file: `path` itself, or the one that RELION 3's coords_suffix file names."""
    if not path.name.startswith("coords_suffix_"):
        return path
    named = Path(path.read_text().strip())
    if not named.is_file():
        raise InputError(f"{path} names {named}, which is not there; run in the project's folder.")
    return named


def _chosen(micrographs: MicrographSet, way: str, options: SelectMicrographsOptions) -> IntArray:
    from boxwood.io.where import rows_where

    total = len(micrographs.table)
    if way == "first":
        return np.arange(min(options.first or 0, total))
    if way == "random":
        return random_rows(total, options.random or 0, options.seed)
    if way == "where":
        return np.flatnonzero(rows_where(micrographs.table, options.where or ""))
    return _named(list(micrographs.table["rlnMicrographName"]), options.names or ())


def _named(known: list[str], wanted: tuple[str, ...]) -> IntArray:
    called: dict[str, list[int]] = {}
    for row, path in enumerate(known):
        for name in {path, Path(path).name, Path(path).stem}:
            called.setdefault(name, []).append(row)
    for name in wanted:
        if name not in called:
            raise InputError(f"There is no micrograph '{name}'; the first of {len(known)} is '{known[0]}'.")
    return np.unique(np.concatenate([called[name] for name in wanted])).astype(np.int64)


def _label(options: SelectMicrographsOptions) -> str:
    if options.split:
        return "relion.select.split"
    return "relion.select.onvalue" if options.where else "relion.select.interactive"


def _makes(options: SelectMicrographsOptions, dialect: str) -> dict[str, str]:
    return part_nodes("micrographs", options.split) if options.split else {SELECTED: "micrographs"}


JOB = Job(
    name="select-micrographs",
    folder="Select",
    options=SelectMicrographsOptions,
    run=run,
    process=7,
    label=_label,
    joboptions=SELECT_FIELDS,
    makes=_makes,
)
