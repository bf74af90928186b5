"""Picks: the micrographs of a job, their coordinates, and the micrographs as they are picked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.responses import Response

from boxwood.errors import InputError
from boxwood.jobs.autopick_options import AutopickOptions
from boxwood.web import adaptive_tuning, picking
from boxwood.web.ctf_picture import ctf_picture
from boxwood.web.endpoint import Call, route
from boxwood.web.filtered import Filter, filtered_level
from boxwood.web.images import SIGMAS, TILE_PX
from boxwood.web.micrographs import pyramid_of
from boxwood.web.routes.images import picture
from boxwood.web.tuning import peaks_of, tried_options


def show_source(call: Call) -> dict[str, Any]:
    """The micrographs of a source, what is known of each, and how they are to be shown."""
    workspace, source = call.workspace, picking.open_source(call.workspace, call.text("source"))
    options = picking.options_of(workspace, source)
    marks, revision = picking.selected(workspace, source)
    return {
        "source": source.name,
        "star": source.star,
        "suffix": source.suffix if source.pick_name and workspace.read(source.suffix).is_file() else "",
        "picks": source.pick_name,
        "status": source.status,
        "options": {name: _shown(value) for name, value in options.as_dict().items()},
        "range": adaptive_tuning.range_of(options) if isinstance(options, AutopickOptions) else None,
        "diameter": picking.shown_diameter(workspace, source, options),
        "names": source.names,
        "counts": picking.counts(workspace, source) if source.pick_name else None,
        "pixel_sizes": picking.pixel_sizes(source, getattr(options, "pixel_size", None)),
        "metadata": picking.metadata(source),
        "has_ctf": source.micrographs.has_ctf(),
        "selected": marks,
        "revision": revision,
    }


def _shown(value: Any) -> Any:
    return value if isinstance(value, int | float | None) else str(value)


def save_selection(call: Call) -> dict[str, Any]:
    """Save which micrographs are selected: `content` is their numbers."""
    source = picking.open_source(call.workspace, call.text("source"))
    expected, chosen = call.given("revision"), call.given("content", list)
    return {"revision": picking.save_selected(call.workspace, source, expected, chosen)}


def try_picking(call: Call) -> dict[str, Any]:
    """Every peak of a micrograph for autopick's options in `content`, those that are not its defaults."""
    source = picking.open_source(call.workspace, call.text("source"))
    options = tried_options(call.workspace, source, call.given("content", dict))
    return peaks_of(call.workspace, source, call.text("name"), options)


def show_model(call: Call) -> dict[str, Any]:
    """How far adaptive picking has learned with autopick's options in `content`; with `start`, begin to."""
    source = picking.open_source(call.workspace, call.text("source"))
    options = tried_options(call.workspace, source, call.given("content", dict))
    return adaptive_tuning.how_far(call.workspace, source, options, call.given("start", bool))


def cancel_model(call: Call) -> dict[str, Any]:
    """Stop learning with these options."""
    source = picking.open_source(call.workspace, call.text("source"))
    options = tried_options(call.workspace, source, call.given("content", dict))
    adaptive_tuning.cancel(call.workspace, source, options)
    return {}


def show_picks(call: Call) -> dict[str, Any]:
    source = picking.open_source(call.workspace, call.text("source"))
    return picking.picks_of(call.workspace, source, call.text("name"))


def save_picks(call: Call) -> dict[str, Any]:
    """Save all picks of a micrograph: `content` has `labels` and `rows`."""
    source = picking.open_source(call.workspace, call.text("source"))
    expected, content = call.given("revision"), call.given("content", dict)
    return {"revision": picking.save_picks(call.workspace, source, call.text("name"), expected, content)}


def show_colours(call: Call) -> dict[str, Any]:
    """Values of `label` in the STAR file `star`, for the `places` of picks of a micrograph."""
    places = call.given("places", list)
    try:
        where = np.array(places, np.float64).reshape(-1, 2)
    except ValueError:
        raise InputError("places are pairs of numbers") from None
    star, label, name = call.given("star"), call.given("label"), call.given("name")
    return {"values": picking.colours_of(call.workspace, star, label, name, where)}


def _filter(call: Call) -> Filter:
    return Filter(call.number("low", 0.0), call.number("high", 0.0), call.number("pixel", 1.0))


def show_filtered(call: Call) -> dict[str, Any]:
    """Sizes of a micrograph and of its levels, and the finest level worth asking for."""
    wanted, name = _filter(call), call.text("name")
    pyramid, tag = pyramid_of(call.workspace, name)
    if call.query.get("ready"):  # a page that will show it soon: filter it now
        filtered_level(call.workspace, name, max(wanted.finest(pyramid), len(pyramid.levels) - 2), wanted)
    sizes = [level.pixels.shape for level in pyramid.levels]
    return {
        "tag": tag,
        "tile": TILE_PX,
        "sigmas": SIGMAS,
        "finest": wanted.finest(pyramid),
        "levels": [{"width": nx, "height": ny} for ny, nx in sizes],
    }


def filtered_tile(call: Call) -> Response:
    """A tile of a filtered level; mean and deviation of the level's grey values are in the head."""
    level, tag = filtered_level(call.workspace, call.text("name"), call.number("level", 0), _filter(call))
    answer = picture(call, level.tile(call.number("column", 0), call.number("row", 0)), tag)
    answer.headers["x-grey-mean"] = repr(level.mean)
    answer.headers["x-grey-deviation"] = repr(level.deviation)
    return answer


def show_ctf(call: Call) -> Response:
    """The power spectrum of a micrograph beside the fitted CTF."""
    source = picking.open_source(call.workspace, call.text("source"))
    pixels, tag = ctf_picture(call.workspace, source, call.text("name"))
    return picture(call, pixels, tag)


ROUTES = [
    route("/api/picks", show_source),
    route("/api/picks/selection", save_selection, "PUT"),
    route("/api/picks/peaks", try_picking, "POST"),
    route("/api/picks/model", show_model, "POST"),
    route("/api/picks/model/cancel", cancel_model, "POST"),
    route("/api/picks/coordinates", show_picks),
    route("/api/picks/coordinates", save_picks, "PUT"),
    route("/api/picks/colours", show_colours, "POST"),
    route("/api/filtered", show_filtered),
    route("/image/filtered", filtered_tile),
    route("/image/ctf", show_ctf),
]
