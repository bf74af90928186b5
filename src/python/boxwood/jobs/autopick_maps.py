"""From autopick's options to figure-of-merit maps and picks of a micrograph, for the job and for the page."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.errors import InputError
from boxwood.project.names import below_job

if TYPE_CHECKING:
    from boxwood.backends import Backend
    from boxwood.jobs.autopick_options import AutopickOptions
    from boxwood.picking import FomMaps, Picks
    from boxwood.typing import AnyArray

# What the maps' files are called after the micrograph.
BEST, SIZE = "_autopick_bestLoG.mrc", "_autopick_bestSize.mrc"


def make_maps(
    options: AutopickOptions,
    image: AnyArray,
    name: str,
    pixel_size: float,
    threads: int,
    backend: str | Backend = "cpu",
) -> FomMaps:
    """Filter the micrograph `name`, (ny, nx), of this pixel size in Angstrom."""
    from boxwood.picking import log_fom_maps

    smallest, largest = options.log_range()
    return log_fom_maps(
        image,
        pixel_size,
        min_diameter=smallest,
        max_diameter=largest,
        max_resolution=options.max_resolution,
        white_particles=options.white_particles,
        shrink=options.shrink,
        # The name below its job alone, so that picks stay the same wherever it is in whichever list.
        seed=(options.seed << 32) + zlib.crc32(str(below_job(name)).encode()),
        threads=threads,
        backend=backend,
    )


def write_maps(paths: Iterable[Path], maps: FomMaps) -> None:
    """Write the files of best response and its diameter."""
    from boxwood.io.mrc import write_stack

    for path, values in zip(paths, (maps.best, maps.size), strict=True):
        write_stack(path, values, maps.pixel_size_angstrom / maps.scale)


def read_maps(
    options: AutopickOptions, paths: tuple[Path, ...], shape: tuple[int, int], pixel_size: float
) -> FomMaps:
    """Read what `write_maps` wrote for a micrograph of this shape.

    Raises
    ------
    InputError
        If they are not there, or were made for other detail.
    """
    from boxwood.io.mrc import read_image
    from boxwood.picking import FomMaps
    from boxwood.picking.geometry import working_size

    for path in paths:
        if not path.exists():
            raise InputError(f"{path} is not there; run with write_fom_maps, then continue that job")
    best, size = (read_image(path).data for path in paths)
    wanted = working_size(max(shape), pixel_size, options.max_resolution, options.shrink)
    if best.shape != (wanted, wanted) or size.shape != best.shape:
        raise InputError(
            f"{paths[0]} has {best.shape[1]} x {best.shape[0]} pixels, and the finest detail asked for "
            f"needs {wanted} x {wanted}; run this job with write_fom_maps again"
        )
    return FomMaps(best, size, shape, pixel_size, *options.log_range())


def pick(maps: FomMaps, options: AutopickOptions, **changed: Any) -> Picks:
    """Pick from maps; `changed` are arguments of `find_peaks` that differ from the options."""
    from boxwood.picking import find_peaks

    asked = {
        "threshold_offset": options.threshold_offset,
        "upper_threshold": options.upper_threshold,
        "min_distance": options.min_distance,
        "neighbour_percent": options.neighbour_percent,
        "skip_side": options.skip_side,
    }
    return find_peaks(maps, **{**asked, **changed})
