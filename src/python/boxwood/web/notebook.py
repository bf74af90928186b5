"""Pictures for notebooks, drawn as the page draws them: picks, particles, class averages.

>>> import boxwood                                                                   # doctest: +SKIP
>>> boxwood.show("Class2D/job003")                                                   # doctest: +SKIP
"""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from boxwood.errors import BoxwoodError, InputError
from boxwood.io.atomic import atomic_write
from boxwood.io.coordinates import coordinate_files, read_coordinates
from boxwood.io.mrc import read_image, read_stack
from boxwood.io.particles import ParticleSet
from boxwood.io.star import read_star
from boxwood.jobs.from_form import job_of
from boxwood.jobs.job import JobResult
from boxwood.jobs.saved_iteration import read_iteration
from boxwood.project.job_form import JobForm
from boxwood.project.names import job_folder
from boxwood.report.sheet import make_sheet
from boxwood.typing import AnyArray
from boxwood.web import images
from boxwood.web.particles import Gallery, ordered, particle_files

_PICK = (255, 196, 64)
_MICROGRAPH_PX = 1200


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook shows by itself.

    Attributes
    ----------
    pixels : (ny, nx) or (ny, nx, 3) uint8
    caption : str
    """

    pixels: AnyArray
    caption: str

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a PNG, whole or not at all."""
        with atomic_write(path) as file:
            file.write(self._repr_png_())
        return Path(path)

    def _repr_png_(self) -> bytes:
        return images.encode(self.pixels, "png")

    def _repr_html_(self) -> str:
        data = base64.b64encode(self._repr_png_()).decode()
        ny, nx = self.pixels.shape[:2]
        return (
            f'<figure style="margin:0"><img src="data:image/png;base64,{data}" width="{nx}" height="{ny}" '
            f'alt=""><figcaption>{escape(self.caption)}</figcaption></figure>'
        )

    def __repr__(self) -> str:
        return f"<Picture: {self.caption}>"


def show(
    what: JobResult | str | os.PathLike[str] | AnyArray,
    *,
    count: int = 60,
    sort: str | None = None,
    reverse: bool = False,
    micrograph: int | str = 0,
    diameter: float | None = None,
    class_number: int | None = None,
    align: bool = False,
    low_pass: float = 0.0,
    side: int = 96,
    columns: int = 10,
    sigma: float | None = None,
) -> Picture:
    """Show picks, particles or class averages in a notebook, as the page does.

    Parameters
    ----------
    what : JobResult, path or array
        What a job returned; a job's folder; a file of coordinates (coords_suffix_autopick.star,
        autopick.star), of particles, of averages (class_averages.star, run_it025_model.star), a stack; or
        images (n, box, box).
    count : int
        At most so many particles.
    sort : str
        Column that particles are sorted by ("rlnAutopickFigureOfMerit"). Averages: "share" (the default),
        "resolution", "score" or "number".
    reverse : bool
        The last first.
    micrograph : int or str
        Of picks: which of the micrographs, by number from 0 or by name.
    diameter : float
        Of the circles around picks, in Å; that of the picking job if not given.
    class_number : int
        Particles of this class alone.
    align : bool
        Particles turned and shifted as their class averages lie.
    low_pass : float
        Å; 0 for none.
    side, columns : int
        Size of an image of a gallery in pixels, and how many stand in a row.
    sigma : float
        Black and white are so many standard deviations from the mean; 3, for averages 4.

    Returns
    -------
    Picture

    Raises
    ------
    InputError
        If there is nothing of that kind.
    """
    if isinstance(what, JobResult):
        what = what.output
    look = {"side_px": side, "columns": columns}
    if isinstance(what, np.ndarray):
        if what.ndim != 3 or not len(what):
            raise InputError(f"images have the shape (n, box, box); this array has {what.shape}")
        return _sheet(what[:count], f"{min(count, len(what))} of {len(what)} images", sigma or 3.0, look)
    path = _file_of(Path(what))
    name = path.name
    if name.endswith(("_model.star", "_optimiser.star")):
        return _iteration(path, sort or "share", reverse, sigma or 4.0, look)
    if path.suffix in (".mrcs", ".mrc", ".spi", ".tif", ".tiff"):
        return show(read_stack(path)[:count], count=count, side=side, columns=columns, sigma=sigma)
    tables = {} if name.startswith("coords_suffix_") else read_star(path)
    labels = {str(label) for table in tables.values() for label in table}
    if "rlnReferenceImage" in labels:
        return _averages(path, sigma or 4.0, look)
    if "rlnImageName" in labels:
        chosen = {"sort": sort or "", "reverse": reverse, "class_number": class_number, "count": count}
        return _particles(path, chosen, align, low_pass, sigma or 3.0, look)
    return _picks(path, micrograph, diameter, low_pass, sigma or 3.0)


def _file_of(path: Path) -> Path:
    """The file to look at: of a job's folder, what it made."""
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"there is no {path}")
        return path
    for pattern in ("run*_it*_model.star", "class_averages.star"):
        if found := sorted(path.glob(pattern)):
            return found[-1]
    if names := particle_files(path):
        return path / names[0]
    for pattern in ("autopick.star", "manualpick.star", "coords_suffix_*.star"):
        if found := sorted(path.glob(pattern)):
            return found[0]
    raise InputError(f"{path} has no picks, particles or class averages; give a job's folder or a file")


def _sheet(
    found: AnyArray, caption: str, sigma: float, look: dict[str, Any], labels: Sequence[str] | None = None
) -> Picture:
    return Picture(np.asarray(make_sheet(found, labels=labels, sigma=sigma, **look)), caption)


def _iteration(path: Path, sort: str, reverse: bool, sigma: float, look: dict[str, Any]) -> Picture:
    saved = read_iteration(path)
    count = len(saved.averages)
    share = saved.classes["rlnClassDistribution"].to_numpy(np.float64)
    resolution = saved.classes.get("rlnEstimatedResolution", pd.Series(np.full(count, np.nan))).to_numpy()
    keys = {"share": -share, "resolution": resolution, "number": np.arange(count)}
    if sort == "score":
        keys["score"] = -saved.scores().score
    if sort not in keys:
        raise InputError(f"averages are sorted by share, resolution, score or number, not by {sort}")
    order = np.argsort(keys[sort], kind="stable")[:: -1 if reverse else 1]
    labels = [f"{k + 1}: {100 * share[k]:.1f} %, {resolution[k]:.0f} Å" for k in order]
    return _sheet(saved.averages[order], f"{count} class averages of {path}, by {sort}", sigma, look, labels)


def _averages(path: Path, sigma: float, look: dict[str, Any]) -> Picture:
    tables = read_star(path)
    table = next(table for table in tables.values() if "rlnReferenceImage" in table)
    names = np.atleast_1d(np.asarray(table["rlnReferenceImage"], dtype=str))
    root = _project_of(path)
    parts = [name.partition("@") for name in names]
    found = np.stack([read_image(f"{number}@{root / file}").data for number, _, file in parts])
    return _sheet(found, f"{len(names)} class averages of {path}", sigma, look)


def _particles(
    path: Path, chosen: dict[str, Any], align: bool, low_pass: float, sigma: float, look: dict[str, Any]
) -> Picture:
    particles = ParticleSet.read(path)
    gallery = Gallery(particles, particles.images(), "")
    rows = ordered(particles.table, chosen["sort"], reverse=chosen["reverse"])
    if (number := chosen["class_number"]) is not None:
        if "rlnClassNumber" not in particles.table:
            raise InputError(f"the particles of {path} have no classes")
        rows = rows[particles.table["rlnClassNumber"].to_numpy()[rows] == number]
    if not len(rows):
        raise InputError(f"{path} has no such particles")
    total, rows = len(rows), rows[: chosen["count"]]
    pixels = gallery.pixels(rows, align=align, low_pass_angstrom=low_pass)
    words = [f"{len(rows)} of {total} particles of {path}"]
    words += [f"class {number}"] if number is not None else []
    words += [f"by {chosen['sort']}"] if chosen["sort"] else []
    return _sheet(pixels, ", ".join(words), sigma, look)


def _picks(
    path: Path, micrograph: int | str, diameter: float | None, low_pass: float, sigma: float
) -> Picture:
    root = _project_of(path)
    files = coordinate_files(path, root=root)
    names = list(files)
    if isinstance(micrograph, int) and 0 <= micrograph < len(names):
        micrograph = names[micrograph]
    if micrograph not in files:
        raise InputError(f"{path} has picks of {len(names)} micrographs, but not of {micrograph}")
    table = read_coordinates(files[str(micrograph)])
    image = read_image(root / str(micrograph))
    small, factor = image.data, 1
    while max(small.shape) > _MICROGRAPH_PX:
        small, factor = images.halve(small), 2 * factor
    pixel = image.pixel_size_angstrom
    if pixel:
        small = images.band_pass(small, pixel * factor, low_pass, 0.0)
    level = images.make_pyramid(small).levels[0]
    drawn = Image.fromarray(images.stretched(level, sigma)).convert("RGB")
    wide = diameter or _diameter_of(path.parent)
    radius = wide / pixel / 2 / factor if wide and pixel else 6.0
    draw = ImageDraw.Draw(drawn)
    for x, y in zip(table["rlnCoordinateX"] / factor, table["rlnCoordinateY"] / factor, strict=True):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=_PICK, width=2)
    return Picture(np.asarray(drawn), f"{len(table)} picks on {micrograph}")


def _diameter_of(job: Path) -> float | None:
    """The diameter, in Å, that a picking job was given."""
    try:
        values = job_of(JobForm.read(job)).values
    except (BoxwoodError, OSError):
        return None
    given = next((values[name] for name in ("max_diameter", "diameter") if values.get(name)), None)
    return float(given) if given is not None else None


def _project_of(path: Path) -> Path:
    """The folder that names in a file start from: the project that the file's job belongs to."""
    file = path.resolve()  # an alias is a link to its job
    return next((folder for folder in file.parents if job_folder(file, folder)), Path())
