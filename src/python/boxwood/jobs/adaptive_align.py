"""Centre the picks of adaptive picking on their class averages, by a short 2D classification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import BoxwoodError

if TYPE_CHECKING:
    from pathlib import Path

    from boxwood.jobs.context import JobContext
    from boxwood.picking.adaptive import AdaptiveModel
    from boxwood.typing import AnyArray, DoubleArray, FloatArray

PIXELS_PER_DIAMETER = 28
BOX = 1.5  # diameters
MASK = 1.15  # diameters
CLASSES, PER_CLASS = 20, 6  # at most so many classes, each of about so many picks or more
ITERATIONS = 12
PSI_STEP_DEG, OFFSET_RANGE, OFFSET_STEP_PX = 6.0, 0.2, 0.5  # the range in diameters
_BLUR_PX = 2.0  # of an average, before its centre of mass is taken


def boxes(
    image: AnyArray,
    x: DoubleArray,
    y: DoubleArray,
    pixel_size: float,
    diameter: float,
    white: bool,
    threads: int,
) -> tuple[FloatArray, AnyArray]:
    """Images (n, box, box) of picks, particles bright, and which picks (n,) they are of.

    Parameters
    ----------
    image : (ny, nx)
    x, y : (picks,)
    pixel_size, diameter : float
        Angstrom.
    """
    from boxwood.extraction import extract_particles

    scaled = 2 * round(BOX * PIXELS_PER_DIAMETER / 2)
    found = extract_particles(
        image,
        x,
        y,
        pixel_size_angstrom=pixel_size,
        box_size=2 * round(BOX * diameter / pixel_size / 2),
        rescale=scaled,
        background_diameter=MASK * diameter / pixel_size,
        invert_contrast=not white,
        recentre_subpixel=True,
        threads=threads,
    )
    good = found.faults == 0
    return found.images[good], found.kept[good]


def shifts(images: FloatArray, pixel_size: float, diameter: float, context: JobContext) -> DoubleArray:
    """Where the particles' centres lie from those of their boxes, (n, 2) x and y in Angstrom.

    Class averages are centred on the centre of mass of their bright part.
    """
    from scipy import ndimage

    from boxwood.class2d import classify2d
    from boxwood.extraction.recentre import projected
    from boxwood.imaging.centring import centre_of_mass

    last = None
    for last in classify2d(
        images,
        pixel_size_angstrom=pixel_size,
        classes=min(CLASSES, len(images) // PER_CLASS),
        iterations=ITERATIONS,
        mask_diameter_angstrom=MASK * diameter,
        psi_step_deg=PSI_STEP_DEG,
        offset_range_px=OFFSET_RANGE * diameter / pixel_size,
        offset_step_px=OFFSET_STEP_PX,
        threads=context.threads,
        warn=context.warn,
    ):
        context.progress(last.iteration, ITERATIONS, "aligning")
    assert last is not None
    averages = [ndimage.gaussian_filter(average, _BLUR_PX) for average in last.model.references]
    centres = centre_of_mass(np.stack(averages))[:, ::-1]
    found = last.assignments
    moved = np.zeros((len(images), 2))
    for i, centre in enumerate(centres):
        of_class = np.flatnonzero(found.class_index == i)
        angles = np.zeros((len(of_class), 3))
        angles[:, 2] = found.psi_deg[of_class]
        moved[of_class] = projected(np.append(centre, 0.0), angles) - found.offset_px[of_class]
    return moved * pixel_size


def align(
    tables: dict[str, pd.DataFrame],
    files: dict[str, Path],
    pixel_sizes: dict[str, float],
    model: AdaptiveModel,
    context: JobContext,
) -> dict[str, pd.DataFrame]:
    """The tables of picks by micrograph, with coordinates moved to the particles' centres.

    Picks are pooled, one small image each. Those of a micrograph that cannot be read again, or whose box has
    no contrast, stay where they are; so do all where they are too few for classes.
    """
    from boxwood.io.mrc import read_image

    diameter, grid = model.diameter_angstrom, model.diameter_angstrom / PIXELS_PER_DIAMETER
    images, rows = [], []
    for name, table in tables.items():
        context.check_abort()
        if not len(table):
            continue
        x, y = (table[label].to_numpy(np.float64) for label in ("rlnCoordinateX", "rlnCoordinateY"))
        try:
            pixels = read_image(files[name]).data
            cut, kept = boxes(
                pixels, x, y, pixel_sizes[name], diameter, model.white_particles, context.threads
            )
        except (BoxwoodError, OSError) as error:
            context.warn(f"the picks of {name} are not aligned: {error}")
            continue
        images.append(cut)
        rows += [(name, row) for row in kept]
    if len(rows) < 2 * PER_CLASS:
        context.warn(f"{len(rows)} picks are too few to be aligned on class averages")
        return tables
    moved = shifts(np.concatenate(images), grid, diameter, context)
    result = {name: table.copy() for name, table in tables.items()}
    places = pd.DataFrame(rows, columns=["name", "row"]).groupby("name", sort=False).indices
    for name, which in places.items():
        chosen = [rows[i][1] for i in which]
        for axis, label in enumerate(("rlnCoordinateX", "rlnCoordinateY")):
            values = result[name][label].to_numpy(np.float64).copy()
            values[chosen] += moved[which, axis] / pixel_sizes[name]
            result[name][label] = values
    return result
