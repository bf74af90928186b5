"""Automatic picking to be tried: all peaks of a micrograph, which the page then cuts at its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boxwood.backends import available_threads
from boxwood.io.coordinates import coordinate_path
from boxwood.io.mrc import read_image, read_stack
from boxwood.jobs import autopick_maps
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.picking import FomMaps
from boxwood.web import adaptive_tuning
from boxwood.web.picking import Source, micrograph_of, options_of
from boxwood.web.workspace import Workspace

# Options on which the maps depend; all others only choose among their peaks.
MAPS = ("min_diameter", "max_diameter", "max_resolution", "white_particles", "shrink", "seed")
_DIAMETERS = ("min_diameter", "max_diameter", "diameter")
# No figure of merit is so many standard deviations from the mean.
_FAR = 1000.0


def tried_options(workspace: Workspace, source: Source, given: Mapping[str, Any]) -> AutopickOptions:
    """The options of a job that picked by the same method, or autopick's defaults, with those of the page.

    Raises
    ------
    InputError
        If one is unknown, or out of its range.
    """
    known: dict[str, Any] = {"micrographs": source.star}
    if source.pick_name == "autopick":
        told = options_of(workspace, source).as_dict()
        same = told["method"] == given.get("method", "log")
        known = told if same else {**known, "pixel_size": told["pixel_size"]}
    if set(given) & set(_DIAMETERS) and given.get("method") == "adaptive":  # they stand for one another
        known = {name: value for name, value in known.items() if name not in _DIAMETERS}
    return AutopickOptions.make({**known, **given})


def peaks_of(workspace: Workspace, source: Source, name: str, options: AutopickOptions) -> dict[str, Any]:
    """Return every peak of a micrograph, best first: x, y, fom, diameter, and `mean` and `sigma` of the map.

    A threshold t keeps those with mean + t sigma <= fom, an upper one those below; that is what the job does,
    since a peak clears its surroundings of lesser ones alone. For the adaptive method see `adaptive_tuning`.
    """
    if options.method == "adaptive":
        return adaptive_tuning.peaks(workspace, source, name, options)
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
    path, pixel_size = micrograph_of(workspace, source, name, options.pixel_size)
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
