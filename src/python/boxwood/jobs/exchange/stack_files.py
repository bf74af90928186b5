"""Stacks of images that come and go: where they are, whether particles are dark, links and changed copies."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import InputError
from boxwood.jobs.context import JobContext
from boxwood.jobs.exchange.import_options import ImportOptions

if TYPE_CHECKING:
    from boxwood.io.particle_images import ParticleImages
    from boxwood.typing import AnyArray

# Images that are looked at to tell bright from dark, and how sure that must be, in standard errors.
LOOKED_AT, SURE = 500, 5.0
BATCH = 500


def roots(options: ImportOptions) -> list[Path]:
    """Folders that names inside the files may start from: the one given, or the files' and all above."""
    if options.root is not None:
        return [options.root]
    given = [file.absolute() for file in options.files]
    above = [folder for file in given for folder in ([file] if file.is_dir() else []) + list(file.parents)]
    return list(dict.fromkeys([Path(), *above]))


def find_stacks(names: pd.Series, folders: Sequence[Path]) -> dict[str, Path]:
    """The file of every stack in names NUMBER@FILE.

    Raises
    ------
    InputError
        None of them is there.
    """
    files = list(dict.fromkeys(str(name).rpartition("@")[2] for name in names))
    found = {
        file: next((path for folder in folders if (path := folder / file).is_file()), folders[0] / file)
        for file in files
    }
    if files and not any(path.is_file() for path in found.values()):
        where = f"{folders[0]}" if len(folders) == 1 else f"the folders above {folders[1]}"
        raise InputError(
            f"none of the {len(files)} stacks, for example {files[0]}, is in {where}; give the folder that "
            "the names start from with --root"
        )
    return found


def renamed(names: pd.Series, files: dict[str, str]) -> pd.Series:
    """Names NUMBER@FILE with other files."""
    parts = names.astype(str).str.rpartition("@")
    return parts[0] + "@" + parts[2].map(files)


def is_dark(images: ParticleImages, contrast: str | None, context: JobContext) -> bool:
    """Whether particles are dark: as said, or as most images of the most common size show."""
    from boxwood.imaging.contrast import centre_brightness

    if contrast is not None:
        return contrast == "dark"
    rows = np.flatnonzero(images.usable & (images.boxes == images.box))
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(int)]
    brightness = centre_brightness(images.read(some))
    if abs(brightness) < SURE:
        context.warn(
            f"whether particles are bright or dark is not clear from {len(some)} images (the centre is "
            f"{brightness:+.1f} standard errors brighter than the edge); they are taken for bright, or say "
            "--contrast dark"
        )
        return False
    context.log(f"particles are {'dark; their contrast is inverted' if brightness < 0 else 'bright'}")
    return brightness < 0


def bring_stacks(
    stacks: dict[str, Path],
    targets: dict[str, Path],
    pixel_size_angstrom: dict[str, float],
    context: JobContext,
    *,
    invert: bool = False,
    turn_over: bool = False,
    float32: bool = False,
) -> None:
    """Make stacks at their targets, both by the same names.

    They are links, unless the images have to be inverted or turned over, or half precision is not understood.
    """

    def bring(file: str) -> None:
        if invert or turn_over or (float32 and _is_half(stacks[file])):
            _copy(stacks[file], targets[file], pixel_size_angstrom[file], invert, turn_over)
        else:
            link(stacks[file], targets[file])

    for _ in context.map(bring, list(stacks), what="stack"):
        pass


def _is_half(path: Path) -> bool:
    from boxwood.io.mrc_header import read_header
    from boxwood.io.pictures import PICTURES

    if path.suffix.lower() in PICTURES:
        return False
    stored = read_header(path).dtype
    return stored.kind == "f" and stored.itemsize == 2


def _copy(source: Path, target: Path, pixel_size_angstrom: float, invert: bool, turn_over: bool) -> None:
    from boxwood.io.mrc import StackWriter, read_stack

    stack = read_stack(source)
    if target.is_symlink():  # from an earlier run; what it leads to stays as it is
        target.unlink()
    with StackWriter(target, pixel_size_angstrom) as writer:
        for first in range(0, len(stack), BATCH):
            writer.append(changed(stack[first : first + BATCH], invert, turn_over))


def changed(images: AnyArray, invert: bool, turn_over: bool) -> AnyArray:
    """Images as the project has them."""
    from boxwood.imaging.frames import turned_over_images

    images = turned_over_images(images) if turn_over else images
    return -images if invert else images


def link(source: Path, target: Path) -> None:
    """Make a link, or replace the one of an earlier run."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink() or target.exists():
        target.unlink()
    os.symlink(os.path.abspath(source), target)
