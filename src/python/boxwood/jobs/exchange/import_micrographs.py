"""List micrographs, with what the microscope was set to: RELION's Import, the first job of a project."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.file_patterns import matching_files
from boxwood.jobs.exchange.stack_files import link
from boxwood.jobs.job import Job, JobResult
from boxwood.jobs.pixel_sizes import compare_with_headers
from boxwood.options import Options, option
from boxwood.options.kinds import Kind

MICROGRAPHS = "micrographs.star"
_MRC = (".mrc", ".mrcs", ".map", ".gz", ".bz2")
_SAME = 0.001  # headers have the pixel size to four digits at best


class _RawFiles:
    """RELION's form has one name, often a pattern, and another field for movies; those are refused."""

    names = ("do_raw", "fn_in_raw", "is_multiframe")

    def write(self, value: tuple[Path, ...], kind: Kind) -> dict[str, str]:
        return {"do_raw": "Yes", "fn_in_raw": " ".join(map(str, value)), "is_multiframe": "No"}

    def read(self, form: Mapping[str, str]) -> list[str] | None:
        if form.get("is_multiframe") == "Yes":
            raise InputError(
                "the form asks for movies (is_multiframe); only micrographs made of them can be imported"
            )
        name = form.get("fn_in_raw", "")
        return [name] if name else None


@dataclass(frozen=True, kw_only=True)
class ImportMicrographsOptions(Options):
    files: tuple[Path, ...] = option(
        "images (MRC, TIFF, PNG), folders of them, or patterns such as 'Micrographs/*.mrc'",
        group="I/O",
        joboption=_RawFiles(),
        flag="--i",
    )
    pixel_size: float | None = option(
        "pixel size of the micrographs; that of their headers if not given",
        None,
        above=0,
        unit="Å",
        group="I/O",
        joboption="angpix",
        flag="--angpix",
    )
    voltage: float = option(
        "voltage of the microscope", 300.0, above=0, unit="kV", group="I/O", joboption="kV", flag="--kV"
    )
    cs: float = option(
        "spherical aberration of the microscope",
        2.7,
        at_least=0,
        unit="mm",
        group="I/O",
        joboption="Cs",
        flag="--Cs",
    )
    amplitude_contrast: float = option(
        "amplitude contrast", 0.1, at_least=0, at_most=1, group="I/O", joboption="Q0", flag="--Q0"
    )
    optics_group: str = option(
        "name of the optics group",
        "opticsGroup1",
        group="I/O",
        metavar="NAME",
        joboption="optics_group_name",
        flag="--optics_group_name",
    )


def run(options: ImportMicrographsOptions, context: JobContext) -> JobResult:
    """Write micrographs.star; files that lie outside the project are linked below the job's folder."""
    from boxwood.io.particles import MicrographSet
    from boxwood.io.pictures import PICTURES

    files = list(dict.fromkeys(matching_files(options.files, (*_MRC, *PICTURES), "image")))
    done = context.map(_pixel_size_of, files, what="micrograph", reads=lambda path: path)
    headers = {path.item: path.result for path in done}
    pixel_size = options.pixel_size or _common(headers)
    compare_with_headers(dict.fromkeys(headers, pixel_size), context)
    names = _names(list(headers), context)
    group = {
        "rlnOpticsGroupName": options.optics_group,
        "rlnOpticsGroup": 1,
        "rlnMicrographPixelSize": pixel_size,
        "rlnMicrographOriginalPixelSize": pixel_size,
        "rlnVoltage": options.voltage,
        "rlnSphericalAberration": options.cs,
        "rlnAmplitudeContrast": options.amplitude_contrast,
    }
    table = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
    path = context.output / MICROGRAPHS
    MicrographSet(pd.DataFrame([group]), table).write(path, dialect=context.dialect)
    return JobResult(
        files={"micrographs": path},
        tables={"micrographs": table},
        values={"micrographs": len(names)},
        summary=f"{len(names)} micrographs of {pixel_size:.4g} Å a pixel",
    )


def _pixel_size_of(path: Path) -> float | None:
    """By the header; also makes sure that the file is one image."""
    from boxwood.io.mrc import read_stack

    stack = read_stack(path)
    if len(stack) != 1:
        raise InputError(f"{path} holds {len(stack)} images where one is expected; is it a movie?")
    return stack.pixel_size_angstrom


def _common(headers: Mapping[Path, float | None]) -> float:
    """The pixel size in Angstrom of all files.

    Raises
    ------
    InputError
        Headers do not say it, or not the same.
    """
    path, first = next(iter(headers.items()))
    for other, size in headers.items():
        if size is None:
            raise InputError(f"{other} does not say its pixel size; please give it, in Å")
        if first is not None and abs(size / first - 1) > _SAME:
            raise InputError(
                f"{path} has pixels of {first:.4g} Å and {other} of {size:.4g} Å; "
                "import them one size at a time"
            )
    assert first is not None
    return first


def _names(files: list[Path], context: JobContext) -> list[str]:
    """Names of the micrographs, from the project's folder; those outside it get links that are inside."""
    names, outside = [], []
    for path in files:
        name = os.path.relpath(path)
        if name.startswith(".."):
            target = context.output_path(Path("Micrographs", path.name), path.suffix)
            link(path, target)
            name = context.name + f"Micrographs/{path.name}"
            outside.append(path)
        names.append(name)
    if outside:
        folder = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in outside])
        context.log(
            f"{len(outside)} micrographs are links to {folder}; "
            f"`boxwood ui --data {shlex.quote(folder)}` shows them"
        )
    return names


JOB = Job(
    name="import-micrographs",
    folder="Import",
    options=ImportMicrographsOptions,
    run=run,
    process=0,
    label="relion.import.movies",
    joboptions={"do_other": "No"},
    makes=lambda options, dialect: {MICROGRAPHS: "micrographs"},
)
