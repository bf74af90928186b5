"""Automatic picking to be tried: all peaks of a micrograph, which the page then cuts at its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxwood.backends import available_threads
from boxwood.errors import InputError
from boxwood.io.coordinates import coordinate_path
from boxwood.io.mrc import read_image, read_stack
from boxwood.jobs import autopick_maps
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.picking import FomMaps
from boxwood.web.endpoint import MissingError
from boxwood.web.picking import Source, options_of, pixel_sizes
from boxwood.web.workspace import Workspace

# Options on which the maps depend; all others only choose among their peaks.
MAPS = ("min_diameter", "max_diameter", "max_resolution", "white_particles", "shrink", "seed")
# No figure of merit is so many standard deviations from the mean.
_FAR = 1000.0


def tried_options(workspace: Workspace, source: Source, given: Mapping[str, Any]) -> AutopickOptions:
    """The options of a job that picked by its filters, or autopick's defaults, with those of the page.

    Raises
    ------
    InputError
        If one is unknown, or out of its range.
    """
    known: dict[str, Any] = {"micrographs": source.star}
    if source.pick_name == "autopick":
        told = options_of(workspace, source).as_dict()
        known = told if told["method"] == "log" else known
    return AutopickOptions.make({**known, **given})


def peaks_of(workspace: Workspace, source: Source, name: str, options: AutopickOptions) -> dict[str, Any]:
    """Return every peak of a micrograph, best first: x, y, fom, diameter, and `mean` and `sigma` of the map.

    A threshold t keeps those with mean + t sigma <= fom, an upper one those below; that is what the job does,
    since a peak clears its surroundings of lesser ones alone.
    """
    maps = _maps(workspace, source, name, options)
    picks = autopick_maps.pick(maps, options, threshold_offset=-_FAR, upper_threshold=_FAR)
    return {
        "x": picks.x.round(3).tolist(),
        "y": picks.y.round(3).tolist(),
        "fom": picks.fom.tolist(),
        "diameter": picks.diameter.tolist(),
        "mean": _plain((picks.threshold + picks.upper_threshold) / 2),
        "sigma": _plain((picks.upper_threshold - picks.threshold) / (2 * _FAR)),
        "reason": picks.reason,
    }


def _plain(value: float) -> float | None:
    return value if value == value else None


def _maps(workspace: Workspace, source: Source, name: str, options: AutopickOptions) -> FomMaps:
    if name not in source.names:
        raise MissingError(f"{source.name} has no micrograph {name}")
    pixel_size = pixel_sizes(source, options.pixel_size)[source.names.index(name)]
    if not pixel_size:
        raise InputError(f"{source.star} does not tell the pixel size; give it")
    path = workspace.read(name)
    if not path.is_file():
        raise MissingError(f"there is no micrograph {name}")
    stat = path.stat()
    decisive = tuple(getattr(options, option) for option in MAPS)

    def make() -> tuple[FomMaps, int]:
        maps = _stored(workspace, source, name, options, pixel_size)
        if maps is None:
            image = read_image(path).data
            maps = autopick_maps.make_maps(options, image, name, pixel_size, available_threads())
        return maps, maps.best.nbytes + maps.size.nbytes

    key = ("fom", source.name, name, stat.st_mtime_ns, stat.st_size, pixel_size, decisive)
    return workspace.pictures.get(key, make)


def _stored(
    workspace: Workspace, source: Source, name: str, options: AutopickOptions, pixel_size: float
) -> FomMaps | None:
    """The maps that the job kept, if it kept any with these options."""
    if source.pick_name != "autopick":
        return None
    kept = options_of(workspace, source)
    if any(getattr(kept, option) != getattr(options, option) for option in MAPS):
        return None
    stem = coordinate_path(source.name, name, "").with_suffix("")
    best, size = (
        workspace.read(Path(f"{str(stem).removesuffix('_')}{end}"))
        for end in (autopick_maps.BEST, autopick_maps.SIZE)
    )
    if not (best.is_file() and size.is_file()):
        return None
    shape = read_stack(workspace.read(name)).shape
    return autopick_maps.read_maps(options, (best, size), (shape[1], shape[2]), pixel_size)
