"""Doubts about pixel sizes: what a job is told, beside what the header of an image says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from boxwood.errors import BoxwoodError
from boxwood.jobs.context import JobContext

# Headers have the size to four digits at best; a wrong binning is a factor of 2, ångström for nanometre 10.
_SAME = 0.05


def compare_with_headers(files: Mapping[Path, float], context: JobContext) -> bool:
    """Warn once if a pixel size in Angstrom is another one in the file's header; whether that was so.

    The former is used. One file is looked at for each pixel size. A header without a size, or with the 1 Å
    of programs that do not know it, says nothing.
    """
    from boxwood.io.mrc import read_stack

    for path, pixel_size in {size: (path, size) for path, size in files.items()}.values():
        try:
            header = read_stack(path).pixel_size_angstrom
        except (BoxwoodError, OSError):
            continue  # who needs the file will name it
        if header not in (None, 1.0) and abs(header / pixel_size - 1) > _SAME:
            context.warn(
                f"the pixels of {path} are {header:.4g} Å by its header and {pixel_size:.4g} Å by "
                "what the job was given; the latter is used"
            )
            return True
    return False
