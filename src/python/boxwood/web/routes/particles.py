"""Galleries of particles: which there are, their order, their pictures, and marks."""

from __future__ import annotations

from typing import Any

import numpy as np
from starlette.responses import Response

from boxwood.web import images
from boxwood.web.endpoint import Call, MissingError, route
from boxwood.web.particles import (
    Gallery,
    bad_rows,
    gallery_of,
    kept_selection,
    ordered,
    particle_files,
    save_selection,
    selection_file,
    shown_values,
)
from boxwood.web.revisions import revision, save
from boxwood.web.routes.images import asked_images, picture


def list_files(call: Call) -> dict[str, Any]:
    """Files of a job that hold particles, as names within the project."""
    job = call.workspace.project.job(call.path["job"])
    folder = call.workspace.root / job.name
    return {"job": job.name.rstrip("/"), "files": [f"{job.name}{name}" for name in particle_files(folder)]}


def _gallery(call: Call) -> Gallery:
    return gallery_of(call.workspace, call.text("name"))


def show_particles(call: Call) -> dict[str, Any]:
    """What there is to know before any particle is shown, and which are marked."""
    gallery = _gallery(call)
    table = gallery.particles.table
    marks = selection_file(call.workspace, call.text("name"))
    selected, problem = kept_selection(marks, len(table))
    known = "rlnImagePixelSize" in gallery.particles.optics
    sizes = gallery.particles.pixel_size_of_groups() if known else {}
    return {
        "name": call.text("name"),
        "tag": gallery.tag,
        "count": len(table),
        "columns": [str(name) for name in table.columns],
        "box": gallery.images.box,
        "pixel_size": min(sizes.values(), default=None),
        "can_align": gallery.can_align,
        "classes": int(table["rlnClassNumber"].max()) if "rlnClassNumber" in table and len(table) else 0,
        "unreadable": bad_rows(gallery).tolist(),
        "reasons": dict(list(gallery.images.bad.items())[:20]),
        "selection": marks.relative_to(call.workspace.root).as_posix(),
        "marked": [] if selected is None else np.flatnonzero(~selected).tolist(),
        "problem": problem,
        "revision": revision(marks),
    }


def show_order(call: Call) -> dict[str, Any]:
    """Rows in the order of the column `sort`, of one `class` or of all, with their values."""
    table = _gallery(call).particles.table
    sort = call.query.get("sort", "")
    rows = ordered(table, sort, reverse=bool(call.number("reverse", 0)))
    if number := call.number("class", 0):
        if "rlnClassNumber" not in table:
            raise MissingError("these particles have no classes; see those of a Class2D job")
        rows = rows[table["rlnClassNumber"].to_numpy()[rows] == number]
    return {"rows": rows.tolist(), **shown_values(table, sort, rows)}


def show_row(call: Call) -> dict[str, Any]:
    """All that is known of one particle."""
    table = _gallery(call).particles.table
    row = call.number("row", -1)
    if not 0 <= row < len(table):
        raise MissingError(f"there is no particle {row}; they are numbered 0 to {len(table) - 1}")
    return {"row": row, "columns": {name: str(value) for name, value in table.iloc[row].items()}}


def particle_sheet(call: Call) -> Response:
    """A sheet of particles, as `/image/stack`; `align` turns them as their class lies, `low_pass` is in Å."""
    gallery = _gallery(call)
    asked = asked_images(call, len(gallery.images), "particles")
    align, low_pass = bool(call.number("align", 0)), call.number("low_pass", 0.0)
    rows = np.asarray(asked.indices)
    pixels = gallery.pixels(rows, align=align, low_pass_angstrom=low_pass)
    tag = f"{gallery.tag}-{asked.tag}-{align}-{low_pass:g}"
    return picture(call, images.sheet(pixels, asked.side_px, asked.columns, asked.sigma), tag)


def save_marks(call: Call) -> dict[str, Any]:
    """Keep which particles are marked, unless somebody else has marked some meanwhile."""
    gallery = _gallery(call)
    path = selection_file(call.workspace, call.text("name"))
    marked = call.given("content", list)

    def write() -> None:
        save_selection(path, len(gallery.particles), marked, selected=False)

    return {"revision": save(call.given("revision"), write, path)}


ROUTES = [
    route("/api/particles/of/{job:path}", list_files),
    route("/api/particles", show_particles),
    route("/api/particles/order", show_order),
    route("/api/particles/row", show_row),
    route("/api/particles/marks", save_marks, "PUT"),
    route("/image/particles", particle_sheet),
]
