"""Pictures: micrographs as previews and tiles, and images of stacks as sheets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from starlette.responses import Response

from boxwood.errors import InputError
from boxwood.io.mrc import read_stack
from boxwood.web import images
from boxwood.web.endpoint import Call, route
from boxwood.web.micrographs import pyramid_of

_MOST_IMAGES, _LARGEST_SIDE = 1024, 512


def picture(call: Call, pixels: Any, tag: str) -> Response:
    """Answer with a picture, or with 304 if the browser has it: `tag` changes with its file."""
    form = call.query.get("format", "jpeg")
    entity = f'"{tag}-{form}"'
    headers = {"etag": entity, "cache-control": "private, no-cache"}
    if call.headers.get("if-none-match") == entity:
        return Response(status_code=304, headers=headers)
    return Response(images.encode(pixels, form), headers=headers, media_type=images.FORMATS[form])


def show_micrograph(call: Call) -> dict[str, Any]:
    """Sizes and grey values of a micrograph: what a viewer needs to ask for tiles."""
    name = call.text("name")
    pyramid, tag = pyramid_of(call.workspace, name)
    levels = [
        {
            "width": lv.pixels.shape[1],
            "height": lv.pixels.shape[0],
            "mean": lv.mean,
            "deviation": lv.deviation,
        }
        for lv in pyramid.levels
    ]
    return {"name": name, "tag": tag, "tile": images.TILE_PX, "sigmas": images.SIGMAS, "levels": levels}


def micrograph_preview(call: Call) -> Response:
    """A whole micrograph, no longer than `size` pixels (default 512)."""
    size = call.number("size", images.TILE_PX)
    if size < 1:
        raise InputError(f"size is {size}; a preview has at least 1 pixel")
    pyramid, tag = pyramid_of(call.workspace, call.text("name"))
    return picture(call, pyramid.preview(size).pixels, tag)


def micrograph_tile(call: Call) -> Response:
    """The tile `column`, `row` of a level; level 0 is full size."""
    pyramid, tag = pyramid_of(call.workspace, call.text("name"))
    pixels = pyramid.tile(call.number("level", 0), call.number("column", 0), call.number("row", 0))
    return picture(call, pixels, tag)


@dataclass(frozen=True)
class AskedImages:
    """Which images a sheet is to show, and how; `tag` tells one sheet from another."""

    indices: list[int]
    side_px: int
    columns: int
    sigma: float

    @property
    def tag(self) -> str:
        return f"{self.side_px}-{self.columns}-{self.sigma}-{','.join(map(str, self.indices))}"


def asked_images(call: Call, count: int, what: str) -> AskedImages:
    """Read `images` ("4,2,9", from 0), or `first` and `count`, `side`, `columns` and `sigma` of a request.

    Raises
    ------
    InputError
        If there are no such images, or too many or too large ones are asked for.
    """
    if "images" in call.query:
        try:
            chosen = [int(word) for word in call.query["images"].split(",")]
        except ValueError:
            raise InputError("images must be numbers from 0, with commas between") from None
    else:
        first = call.number("first", 0)
        chosen = list(range(first, min(first + call.number("count", 100), count)))
    side, columns = call.number("side", 64), call.number("columns", 10)
    if not 0 < len(chosen) <= _MOST_IMAGES or min(chosen) < 0 or max(chosen) >= count:
        raise InputError(f"ask for 1 to {_MOST_IMAGES} of the {count} images of {what}")
    if not (0 < side <= _LARGEST_SIDE and 0 < columns <= _MOST_IMAGES):
        raise InputError(f"a sheet has images of 1 to {_LARGEST_SIDE} pixels")
    sigma = call.number("sigma", 3.0)
    if sigma <= 0:
        raise InputError(f"sigma is {sigma:g}; it must be above 0")
    return AskedImages(chosen, side, columns, sigma)


def stack_sheet(call: Call) -> Response:
    """Images `first` to `first + count` of a stack, or those of `images` ("4,2,9", from 0).

    They stand in rows of `columns`. Each is `side` pixels wide and has grey levels of its own, `sigma`
    standard deviations to either side.
    """
    path = call.workspace.read(call.text("name"))
    stack = read_stack(path)
    asked = asked_images(call, len(stack), path.name)
    stat = path.stat()
    tag = f"{stat.st_mtime_ns:x}-{stat.st_size:x}-{asked.tag}"
    pixels = stack[np.array(asked.indices)]
    return picture(call, images.sheet(pixels, asked.side_px, asked.columns, asked.sigma), tag)


ROUTES = [
    route("/api/micrograph", show_micrograph),
    route("/image/micrograph", micrograph_preview),
    route("/image/tile", micrograph_tile),
    route("/image/stack", stack_sheet),
]
