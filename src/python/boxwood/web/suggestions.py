"""Values that a form suggests, from what earlier jobs of the project know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from boxwood.errors import BoxwoodError
from boxwood.jobs import picking_model
from boxwood.jobs.defaults import BOX_PER_DIAMETER, sizes_for
from boxwood.jobs.manual_pick_options import ManualPickOptions
from boxwood.web.picking import Source, open_source, pixel_sizes, told_values
from boxwood.web.workspace import Workspace


def suggested(workspace: Workspace, job: str, texts: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return what to fill in, and why, by option, for a form filled so far with `texts`.

    Boxes of `extract` follow from the diameter of the particles that were picked, and the pixel size.
    """
    coordinates = texts.get("coordinates")
    if job != "extract" or not isinstance(coordinates, str) or not coordinates:
        return {}
    try:
        source = open_source(workspace, "/".join(PurePosixPath(coordinates).parts[:2]))
        diameter = particle_diameter(workspace, source)
    except (BoxwoodError, OSError):
        return {}
    pixel_size = _pixel_size(source, texts.get("pixel_size"))
    if diameter is None or pixel_size is None:
        return {}
    sizes = sizes_for(diameter, pixel_size)
    why = f"the {diameter:.0f} Å of {source.name}"
    box = f"{BOX_PER_DIAMETER:g} times {why}, and quick to transform"
    return {
        "box_size": {"text": str(sizes.box_px), "why": box},
        "background_diameter": {"text": str(sizes.background_px), "why": why},
    }


def particle_diameter(workspace: Workspace, source: Source) -> float | None:
    """The largest diameter, Angstrom, that a picking job was told or has learned; None if it knows none."""
    told = told_values(workspace, source)
    if source.pick_name == "manualpick":
        usual = next(option.default for option in ManualPickOptions.declared() if option.name == "diameter")
        told = {"diameter": told["diameter"]} if told.get("diameter", usual) != usual else {}
    names = ("diameter", "min_diameter", "max_diameter", "mask_diameter")
    known = []
    for name in names:
        with suppress(TypeError, ValueError):  # not given, or to be found
            known.append(float(told[name]) if name in told else math.nan)
    model = workspace.read(f"{source.name}/{picking_model.FILE}")
    if told.get("method") == "adaptive" and model.is_file():
        known.append(picking_model.read_model(model).particle_diameter_angstrom)
    return max((value for value in known if value > 0), default=None)


def _pixel_size(source: Source, given: Any) -> float | None:
    """The finest, since the box in pixels is the same for all."""
    with suppress(TypeError, ValueError):
        if float(given) > 0:
            return float(given)
    return min((size for size in pixel_sizes(source, None) if size), default=None)
