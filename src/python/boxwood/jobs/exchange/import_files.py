"""Bring coordinates, particles or class averages of other programs into a project: RELION's Import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from boxwood.errors import BoxwoodError, InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.file_patterns import matching_files
from boxwood.jobs.exchange.import_options import ImportOptions
from boxwood.jobs.job import Job, JobResult
from boxwood.project.nodes import coordinate_node


def run(options: ImportOptions, context: JobContext) -> JobResult:
    """Find out what the files are, and import that."""
    from boxwood.jobs.exchange.import_averages import import_averages
    from boxwood.jobs.exchange.import_coordinates import import_coordinates
    from boxwood.jobs.exchange.import_particles import import_particles

    files = list(_found(options.files))
    context.use(files)
    kind, content = _kind_and_content(files, options)
    context.log(f"{len(files)} file{'s' * (len(files) > 1)} in the format {kind}, imported as {content}")
    importers = {
        "coordinates": import_coordinates,
        "particles": import_particles,
        "class-averages": import_averages,
    }
    result = importers[content](files, kind, options, context)
    for name, node in _nodes(content, context.dialect).items():
        context.add_output(context.output / name, node)
    return result


def _kind_and_content(files: list[Path], options: ImportOptions) -> tuple[str, str]:
    """What wrote the files, and what is made of them.

    Raises
    ------
    InputError
        They are of several formats.
    """
    formats = {path: options.format or _format(path) for path in files}
    kinds = sorted(set(formats.values()))
    if len(kinds) > 1:
        first = {kind: next(path for path in files if formats[path] == kind) for kind in kinds}
        raise InputError(
            "the files are of several formats: "
            + ", ".join(f"{path} ({kind})" for kind, path in first.items())
            + "; import them one format at a time, or say which with --format"
        )
    return kinds[0], options.content or _content(files, kinds[0], options)


def _found(names: tuple[Path, ...]) -> Iterator[Path]:
    from boxwood.io.exchange.detect import SUFFIXES

    return matching_files(names, SUFFIXES, "file of coordinates or particles")


def _format(path: Path) -> str:
    from boxwood.io.exchange.detect import format_of

    return format_of(path)


def _content(files: list[Path], kind: str, options: ImportOptions) -> str:
    """What files of a format hold, where it can be more than coordinates."""
    if kind == "cryosparc":
        from boxwood.io.exchange.cryosparc import read_dataset
        from boxwood.io.exchange.cryosparc_particles import contents_of

        return contents_of(read_dataset(files[0], options.passthrough))
    if kind == "mrc":
        return "class-averages"
    if kind == "cistem" and files[0].suffix.lower() != ".db":
        return "particles"
    return "coordinates"


def _nodes(content: str, dialect: str) -> dict[str, str]:
    from boxwood.jobs.exchange.import_coordinates import LIST, PICK_NAME

    return {
        "coordinates": coordinate_node(dialect, PICK_NAME, LIST, "imported_coordinates_list"),
        "particles": {"particles.star": "particles"},
        "class-averages": {"class_averages.star": "class_averages"},
    }[content]


def _makes(options: ImportOptions, dialect: str) -> dict[str, str]:
    """By what is asked for, or by the files; where they are yet to come, nobody knows."""
    content = options.content
    if content is None:
        try:
            content = _kind_and_content(list(_found(options.files)), options)[1]
        except BoxwoodError:
            return {}
    return _nodes(content, dialect)


JOB = Job(
    name="import",
    folder="Import",
    options=ImportOptions,
    run=run,
    process=0,
    label="relion.import.other",
    joboptions={"do_raw": "No", "do_other": "Yes"},
    makes=_makes,
)
