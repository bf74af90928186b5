"""Class averages of other programs become templates in RELION's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.import_options import ImportOptions
from boxwood.jobs.exchange.stack_files import changed, find_stacks, is_dark, renamed, roots
from boxwood.jobs.job import JobResult


def import_averages(files: list[Path], kind: str, options: ImportOptions, context: JobContext) -> JobResult:
    """Write class_averages.mrcs and class_averages.star."""
    from boxwood.io.mrc import write_stack
    from boxwood.io.particle_images import ParticleImages
    from boxwood.io.star import write_star
    from boxwood.report.particles import draw_particles

    if len(files) != 1:
        raise InputError(f"{len(files)} files of class averages were given; import them one at a time")
    names, pixel_size = _names(files[0], kind, options)
    images = ParticleImages(names)
    for name, reason in images.bad.items():
        context.bad(name, reason)
    rows = np.flatnonzero(images.usable)
    if not len(rows):
        raise InputError(f"{files[0]} has no class average that can be read")
    invert = is_dark(images, options.contrast, context)
    averages = changed(images.read(rows), invert, options.flip_y)
    made = {name: context.output / name for name in ("class_averages.mrcs", "class_averages.star")}
    write_stack(made["class_averages.mrcs"], averages, pixel_size)
    numbers = names.iloc[rows].str.partition("@")[0].astype(int).to_numpy()
    table = pd.DataFrame(
        {
            "rlnReferenceImage": [
                f"{n:06d}@{context.name}class_averages.mrcs" for n in range(1, len(rows) + 1)
            ],
            "rlnClassNumber": numbers,
        }
    )
    write_star(made["class_averages.star"], {"": table}, dialect=context.dialect)
    with context.picture("class_averages.png"):
        path = context.output / "class_averages.png"
        draw_particles(path, averages, averages.mean(axis=0), len(averages))
    return JobResult(
        files={"class_averages": made["class_averages.star"], "templates": made["class_averages.mrcs"]},
        tables={"class_averages": table},
        values={"classes": len(rows), "inverted": invert},
        summary=f"{len(rows)} class averages imported" + (", their contrast inverted" if invert else ""),
    )


def _names(path: Path, kind: str, options: ImportOptions) -> tuple[pd.Series, float]:
    """Names NUMBER@FILE of the averages, and their pixel size in Angstrom."""
    from boxwood.io.exchange.cryosparc import read_dataset
    from boxwood.io.exchange.cryosparc_particles import averages_of
    from boxwood.io.mrc import read_stack

    if kind == "cryosparc":
        files, numbers, pixel_size = averages_of(read_dataset(path, options.passthrough))
        names = pd.Series([f"{n + 1:06d}@{file}" for n, file in zip(numbers, files, strict=True)])
        stacks = find_stacks(names, roots(options))
        return renamed(names, {f: str(p) for f, p in stacks.items()}), pixel_size
    if kind != "mrc":
        raise InputError(f"{path} is in the format {kind}; class averages are in a .cs file or an MRC stack")
    stack = read_stack(path)
    if stack.pixel_size_angstrom is None:
        raise InputError(f"{path} does not say its pixel size; set it in its header")
    return pd.Series([f"{n:06d}@{path}" for n in range(1, len(stack) + 1)]), stack.pixel_size_angstrom
