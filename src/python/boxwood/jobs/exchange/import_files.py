"""Bring coordinates, particles or class averages of other programs into a project: RELION's Import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.import_options import ImportOptions
from boxwood.jobs.job import Job, JobResult

_PATTERN = set("*?[")


def run(options: ImportOptions, context: JobContext) -> JobResult:
    """Find out what the files are, and import that."""
    from boxwood.jobs.exchange.import_averages import import_averages
    from boxwood.jobs.exchange.import_coordinates import import_coordinates
    from boxwood.jobs.exchange.import_particles import import_particles

    files = list(_found(options.files))
    context.use(files)
    formats = {path: options.format or _format(path) for path in files}
    kinds = sorted(set(formats.values()))
    if len(kinds) > 1:
        first = {kind: next(path for path in files if formats[path] == kind) for kind in kinds}
        raise InputError(
            "the files are of several formats: "
            + ", ".join(f"{path} ({kind})" for kind, path in first.items())
            + "; import them one format at a time, or say which with --format"
        )
    content = options.content or _content(files, kinds[0], options)
    context.log(f"{len(files)} file{'s' * (len(files) > 1)} in the format {kinds[0]}, imported as {content}")
    importers = {
        "coordinates": import_coordinates,
        "particles": import_particles,
        "class-averages": import_averages,
    }
    return importers[content](files, kinds[0], options, context)


def _found(names: tuple[Path, ...]) -> Iterator[Path]:
    """The files that names, folders and patterns stand for.

    Raises
    ------
    InputError
        There are none.
    """
    from boxwood.io.exchange.detect import SUFFIXES

    for name in names:
        if name.is_dir():
            found = sorted(path for path in name.rglob("*") if path.suffix.lower() in SUFFIXES)
            wanted = f"no file of coordinates or particles ({' '.join(SUFFIXES)})"
        elif name.exists() or not _PATTERN & set(str(name)):
            found, wanted = [name] if name.exists() else [], "nothing there"
        else:
            base = Path(name.anchor) if name.is_absolute() else Path()
            pattern = str(name.relative_to(name.anchor)) if name.is_absolute() else str(name)
            found, wanted = sorted(base.glob(pattern)), "nothing like it there"
        if not found:
            raise InputError(f"files: {name}: {wanted} (looked in {Path.cwd()})")
        yield from found


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


JOB = Job(
    name="import",
    folder="Import",
    options=ImportOptions,
    run=run,
    process=0,
    label="relion.import.other",
    joboptions={"do_raw": "No", "do_other": "Yes"},
)
