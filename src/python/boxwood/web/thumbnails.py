"""A small picture of what a job made, for the list of jobs."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from boxwood.errors import BoxwoodError
from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.select_micrographs import micrographs_star
from boxwood.typing import AnyArray
from boxwood.web import images
from boxwood.web.micrographs import pyramid_of
from boxwood.web.particles import images_of
from boxwood.web.workspace import Workspace

WIDTH, HEIGHT = 240, 120
_SIDES = (120, 60, 40)
_MOST = 18
_PICK = (255, 196, 64)


def thumbnail(workspace: Workspace, job: str) -> AnyArray | None:
    """Draw what a job ("Class2D/job003/") made, as (height, width, 2 or 3) uint8.

    Class averages with most particles first, the first particles, or the picks of the first micrograph; None
    if nothing can be seen. Two channels are grey and how opaque a pixel is.
    """
    folder = workspace.root / job
    for names, draw in _KINDS:
        found = [path for pattern in names for path in folder.glob(pattern)]
        if found:
            source = max(found)
            stamp = source.stat()
            key: Hashable = ("thumbnail", str(source), stamp.st_mtime_ns, stamp.st_size)

            def make(source: Path = source, draw: Draw = draw) -> tuple[AnyArray | None, int]:
                try:
                    workspace.read(source)
                    return draw(workspace, source), WIDTH * HEIGHT
                except (BoxwoodError, OSError, KeyError):  # half-written, made by something else, outside
                    return None, 1

            kept: AnyArray | None = workspace.pictures.get(key, make)
            return kept
    return None


Draw = Callable[[Workspace, Path], AnyArray]


def _classes(workspace: Workspace, model: Path) -> AnyArray:
    table = read_star(model)["model_classes"]
    shares = np.asarray(table["rlnClassDistribution"], float)
    averages = model.with_name(re.sub(r"_model\.star$", "_classes.mrcs", model.name))
    stack = read_stack(workspace.read(averages))
    order = np.argsort(-shares, kind="stable")
    return _sheet(stack[order[shares[order] > 0][:_MOST]])


def _averages(workspace: Workspace, path: Path) -> AnyArray:
    return _sheet(read_stack(path)[:_MOST])


def _particles(workspace: Workspace, path: Path) -> AnyArray:
    particles = ParticleSet.read(path)
    rows = np.arange(min(len(particles), _MOST))
    return _sheet(images_of(workspace, particles.select(rows)).read(rows))


def _picks(workspace: Workspace, listing: Path) -> AnyArray:
    """The middle of the first micrograph that has picks, in the thumbnail's shape."""
    workspace.read(micrographs_star(listing))
    name, file = next(iter(coordinate_files(listing).items()))
    table = read_coordinates(workspace.read(file))
    pyramid, _ = pyramid_of(workspace, name)
    level = pyramid.preview(images.TILE_PX)
    ny, nx = level.pixels.shape
    rows = min(ny, nx * HEIGHT // WIDTH)
    top = (ny - rows) // 2
    cut = (
        Image.fromarray(images.stretched(level, 3.0)[top : top + rows]).convert("RGB").resize((WIDTH, HEIGHT))
    )
    scale = WIDTH / pyramid.levels[0].pixels.shape[1]
    draw = ImageDraw.Draw(cut)
    for x, y in zip(table["rlnCoordinateX"] * scale, table["rlnCoordinateY"] * scale, strict=True):
        draw.ellipse((x - 3, y - top * WIDTH / nx - 3, x + 3, y - top * WIDTH / nx + 3), outline=_PICK)
    return np.asarray(cut)


def _sheet(found: AnyArray) -> AnyArray:
    """Images in rows, as large as all of them fit."""
    side = next((side for side in _SIDES if (WIDTH // side) * (HEIGHT // side) >= len(found)), _SIDES[-1])
    drawn = images.sheet(found, side, WIDTH // side)
    picture = np.zeros((HEIGHT, WIDTH, 2), np.uint8)
    picture[: drawn.shape[0], : drawn.shape[1], 0] = drawn
    for place in range(len(found)):
        top, left = place // (WIDTH // side) * side, place % (WIDTH // side) * side
        picture[top : top + side, left : left + side, 1] = 255
    return picture


# What is looked for in a job's folder, first come first; of several files the last by name.
_KINDS: tuple[tuple[tuple[str, ...], Draw], ...] = (
    (("run_*it[0-9][0-9][0-9]_model.star",), _classes),
    (("class_averages.mrcs",), _averages),
    (("particles.star",), _particles),
    (("autopick.star", "manualpick.star", "coords_suffix_*.star"), _picks),
)
