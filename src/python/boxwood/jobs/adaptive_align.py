"""Centre the picks of what was learned on their class averages, by a short 2D classification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.errors import BoxwoodError

if TYPE_CHECKING:
    from pathlib import Path

    from boxwood.jobs.context import JobContext
    from boxwood.picking.adaptive import AdaptiveModel
    from boxwood.picking.templates import MatchedModel
    from boxwood.typing import AnyArray, DoubleArray, FloatArray

COORDINATES, SCORE = ("rlnCoordinateX", "rlnCoordinateY"), "rlnAutopickFigureOfMerit"
PIXELS_PER_DIAMETER = 28
BOX = 1.5  # diameters
MASK = 1.15  # diameters
CLASSES, PER_CLASS = 20, 12  # at most so many classes, each of about so many picks or more
CLASSIFICATIONS, IMAGES = 5, 15000  # so many, each from a start of its own, or as many as have so many images
ITERATIONS = 12
REGULARISATION = 4.0
PSI_STEP_DEG, OFFSET_RANGE, OFFSET_STEP_PX = 6.0, 0.2, 0.5  # the range in diameters
_BLUR_PX = 2.0  # of an average, before its centre of mass is taken ...
_REACH = 0.6  # diameters: ... within this radius of itself
_ROUNDS = 5  # in which it is found


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

    Where an average of few noisy images has its centre is uncertain, and the same for all of a class. Another
    start makes other classes, so the mean over several is better; many images need none of that.
    """
    count = int(np.clip(IMAGES // len(images), 1, CLASSIFICATIONS))
    total = np.zeros((len(images), 2))
    for i in range(count):
        total += _offsets_from_centres(images, pixel_size, diameter, context, seed=i + 1, of=count)
    return total / count


def _offsets_from_centres(
    images: FloatArray, pixel_size: float, diameter: float, context: JobContext, *, seed: int, of: int
) -> DoubleArray:
    """`shifts` by the `seed`-th classification of `of`."""
    from boxwood.class2d import classify2d
    from boxwood.extraction.recentre import projected

    last = None
    for last in classify2d(
        images,
        pixel_size_angstrom=pixel_size,
        classes=min(CLASSES, len(images) // PER_CLASS),
        iterations=ITERATIONS,
        regularisation=REGULARISATION,
        mask_diameter_angstrom=MASK * diameter,
        psi_step_deg=PSI_STEP_DEG,
        offset_range_px=OFFSET_RANGE * diameter / pixel_size,
        offset_step_px=OFFSET_STEP_PX,
        seed=seed,
        threads=context.threads,
        warn=context.warn,
    ):
        context.progress((seed - 1) * ITERATIONS + last.iteration, of * ITERATIONS, "aligning")
    assert last is not None
    found = last.assignments
    moved = np.zeros((len(images), 2))
    for i, average in enumerate(last.model.references):
        of_class = np.flatnonzero(found.class_index == i)
        angles = np.zeros((len(of_class), 3))
        angles[:, 2] = found.psi_deg[of_class]
        centre = np.append(centre_of_average(average, diameter / pixel_size), 0.0)
        moved[of_class] = projected(centre, angles) - found.offset_px[of_class]
    return moved * pixel_size


def centre_of_average(average: AnyArray, diameter_px: float) -> DoubleArray:
    """Centre of mass, (2,) x and y from the centre pixel, of what is bright around it.

    It lies within a pixel of the true centre of simulated projections, transferred at 0.8 to 1.6 micrometres
    of defocus; a threshold, or any other power of the brightness, is farther off.
    """
    from scipy import ndimage

    from boxwood.imaging.centring import centre_of_mass

    smooth = ndimage.gaussian_filter(np.asarray(average, np.float64), _BLUR_PX)
    y, x = (np.arange(n) - n // 2 for n in smooth.shape)
    centre = np.zeros(2)
    for _ in range(_ROUNDS):
        near = np.hypot(y[:, None] - centre[1], x - centre[0]) < _REACH * diameter_px
        centre = centre_of_mass((smooth * near)[None])[0, ::-1]
    return centre


def align(
    tables: dict[str, pd.DataFrame],
    files: dict[str, Path],
    pixel_sizes: dict[str, float],
    model: AdaptiveModel | MatchedModel,
    min_distance: float,
    context: JobContext,
) -> dict[str, pd.DataFrame]:
    """The tables of picks by micrograph, with coordinates moved to the particles' centres.

    Picks are pooled, one small image each. Those of a micrograph that cannot be read again, or whose box has
    no contrast, stay where they are; so do all where they are too few for classes. Of picks that have come
    as near to one another as `min_distance` (Angstrom) the one with the best score stays.
    """
    from boxwood.io.mrc import read_image
    from boxwood.picking.duplicates import best_of_duplicates

    diameter = model.particle_diameter_angstrom
    grid = diameter / PIXELS_PER_DIAMETER
    images, rows = [], []
    for name, table in tables.items():
        context.check_abort()
        if not len(table):
            continue
        x, y = (table[label].to_numpy(np.float64) for label in COORDINATES)
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
        for axis, label in enumerate(COORDINATES):
            values = result[name][label].to_numpy(np.float64).copy()
            values[chosen] += moved[which, axis] / pixel_sizes[name]
            result[name][label] = values
        x, y, score = (result[name][label].to_numpy(np.float64) for label in (*COORDINATES, SCORE))
        better = best_of_duplicates(x, y, np.zeros(len(x)), min_distance / pixel_sizes[name], score)
        result[name] = result[name][better < 0].reset_index(drop=True)
    return result
