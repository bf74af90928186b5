"""Sheets of small images, with a line of text above each."""

import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from boxwood.imaging.montage import thumbnail
from boxwood.io.atomic import atomic_write
from boxwood.typing import AnyArray

FRAME = "#2a9d2a"
# Pixels: side of an image as drawn, gap between images, line of text above one, heading.
_SIDE, _GAP, _LABEL, _HEADING = 128, 4, 15, 24


def draw_sheet(
    path: str | os.PathLike[str],
    images: AnyArray,
    *,
    labels: Sequence[str] | None = None,
    framed: npt.ArrayLike | None = None,
    heading: str = "",
    columns: int = 10,
    sigma: float = 3.0,
) -> Path:
    """Draw images row by row, as `make_sheet`, and write a PNG."""
    sheet = make_sheet(
        images, labels=labels, framed=framed, heading=heading, columns=columns, sigma=sigma, side_px=_SIDE
    )
    with atomic_write(path) as file:
        sheet.save(file, format="PNG")
    return Path(path)


def make_sheet(
    images: AnyArray,
    *,
    labels: Sequence[str] | None = None,
    framed: npt.ArrayLike | None = None,
    heading: str = "",
    columns: int = 10,
    sigma: float = 3.0,
    side_px: int = _SIDE,
) -> Image.Image:
    """Draw images row by row, each with grey levels of its own.

    Parameters
    ----------
    images : (n, box, box), n > 0
    labels : n strings, optional
        One line above each image.
    framed : (n,) bool, optional
        Images to put a green frame around.
    heading : str
    columns : int
    sigma : float
        Black and white are this many standard deviations from the mean.
    side_px : int
        Of an image as drawn.
    """
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    step_x, step_y = side_px + _GAP, side_px + _GAP + _LABEL * bool(labels)
    font, large = _font(10), _font(12)
    top = _HEADING if heading else _GAP
    width = max(columns * step_x + _GAP, int(large.getlength(heading)) + 2 * _GAP)
    sheet = Image.new("L" if framed is None else "RGB", (width, top + rows * step_y), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((width / 2, top / 2), heading, "black", large, anchor="mm")
    for place, image in enumerate(images):
        x, y = _GAP + place % columns * step_x, top + place // columns * step_y
        if labels:
            draw.text((x + side_px / 2, y + _LABEL / 2), labels[place], "black", font, anchor="mm")
            y += _LABEL
        sheet.paste(Image.fromarray(thumbnail(image, side_px, sigma)), (x, y))
        if framed is not None and np.asarray(framed)[place]:
            draw.rectangle((x - 2, y - 2, x + side_px + 1, y + side_px + 1), outline=FRAME, width=3)
    return sheet


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings; importing that takes longer than drawing a sheet."""
    spec = find_spec("matplotlib")
    assert spec is not None
    assert spec.origin is not None
    return ImageFont.truetype(Path(spec.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf", size)
