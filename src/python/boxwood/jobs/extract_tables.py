"""The tables of extracted particles: RELION's columns in RELION's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from boxwood.extraction.recentre import recentred_coordinates

if TYPE_CHECKING:
    from boxwood.io.star_format import Columns
    from boxwood.jobs.extract_options import ExtractOptions
    from boxwood.typing import AnyArray, DoubleArray

X, Y = "rlnCoordinateX", "rlnCoordinateY"
FOM = "rlnAutopickFigureOfMerit"
ORIGINS = ["rlnOriginXAngst", "rlnOriginYAngst"]
ANGLES = ["rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi"]
# What a particle takes from its micrograph.
CTF = (
    "rlnCtfMaxResolution",
    "rlnCtfFigureOfMerit",
    "rlnDefocusU",
    "rlnDefocusV",
    "rlnDefocusAngle",
    "rlnCtfBfactor",
    "rlnCtfScalefactor",
    "rlnPhaseShift",
)
BEAM = ("rlnBeamTiltX", "rlnBeamTiltY", "rlnBeamTiltClass")
# Columns of the optics groups that describe images.
IMAGE = ("rlnImagePixelSize", "rlnImageSize", "rlnImageDimensionality", "rlnCtfDataAreCtfPremultiplied")
# What RELION writes beside a defocus where the micrographs do not say it.
PLAIN = {"rlnCtfBfactor": 0.0, "rlnCtfScalefactor": 1.0, "rlnPhaseShift": 0.0}


def with_micrograph(
    table: pd.DataFrame, micrograph: pd.Series, own_optics: bool, overwrite_ctf: bool
) -> pd.DataFrame:
    """Add a micrograph's name, optics group and CTF to its particles.

    Particles keep their optics group if `own_optics`, and a CTF of their own unless `overwrite_ctf`.
    """
    own = "rlnDefocusU" in table and not overwrite_ctf
    group = table["rlnOpticsGroup"] if own_optics else micrograph["rlnOpticsGroup"]
    table = table.assign(rlnImageName=table.get("rlnImageName", ""))
    table = table.assign(rlnMicrographName=micrograph["rlnMicrographName"], rlnOpticsGroup=group)
    values = {label: micrograph[label] for label in (*CTF, *BEAM) if label in micrograph.index}
    if "rlnDefocusU" in values:
        values = {label: (PLAIN | values)[label] for label in (*CTF, *BEAM) if label in PLAIN | values}
    if own:
        values = {label: value for label, value in values.items() if label not in table}
    return table.assign(**values)


def image_names(stack: str, n: int) -> list[str]:
    """Names of the images of a stack: "000001@Extract/job007/a.mrcs"."""
    return [f"{number:06d}@{stack}" for number in range(1, n + 1)]


def recentred(
    table: pd.DataFrame, options: ExtractOptions, pixel_size: float, reference_pixel_size: float
) -> pd.DataFrame:
    """Reset the offsets of refined particles, or move them into the coordinates.

    Parameters
    ----------
    table : DataFrame
    options : ExtractOptions
    pixel_size : float
        Of the micrograph in Angstrom.
    reference_pixel_size : float
        What `recenter` counts in.
    """
    if options.reset_offsets:
        return table.assign(**{label: 0.0 for label in ORIGINS if label in table})
    if options.recenter is None:
        return table
    offsets = _columns(table, ORIGINS) / pixel_size
    centre = np.array(options.recenter) * reference_pixel_size / pixel_size
    coordinates, left = recentred_coordinates(
        _columns(table, [X, Y]), offsets, centre, _columns(table, ANGLES)
    )
    new = dict(zip([X, Y], coordinates.T, strict=True)) | dict(zip(ORIGINS, pixel_size * left.T, strict=True))
    return table.assign(**new)


def _columns(table: pd.DataFrame, labels: list[str]) -> DoubleArray:
    """Values (n, labels); a column that is not there is zero."""
    return np.column_stack([table.get(label, np.zeros(len(table))) for label in labels]).astype(np.float64)


def optics_of_images(
    optics: pd.DataFrame, pixel_sizes: dict[int, float], options: ExtractOptions, dialect: str
) -> pd.DataFrame:
    """Optics groups of the images, from those of the micrographs or refined particles.

    Parameters
    ----------
    optics : DataFrame
    pixel_sizes : dict
        Of the images, by number of the optics group, in Angstrom; other groups are dropped.
    options : ExtractOptions
    dialect : {"3.1", "5"}
    """
    used = optics[optics["rlnOpticsGroup"].isin(pixel_sizes)].reset_index(drop=True)
    anew = [*IMAGE, *([] if options.reextract else ["rlnMicrographPixelSize"])]
    used = used.drop(columns=anew, errors="ignore").assign(
        rlnImagePixelSize=[pixel_sizes[group] for group in used["rlnOpticsGroup"]],
        rlnImageSize=options.image_size,
        rlnImageDimensionality=2,
    )
    if dialect != "3.1" or options.premultiply_ctf:
        used["rlnCtfDataAreCtfPremultiplied"] = int(options.premultiply_ctf)
    return used


def columns(table: pd.DataFrame) -> Columns:
    """The columns of a table as arrays of their own: of thousands of small tables, these take less room."""
    return {label: np.array(_values(table[label])) for label in table} if len(table) else {}


def _values(column: pd.Series) -> AnyArray:
    return column.to_numpy() if pd.api.types.is_numeric_dtype(column) else column.to_numpy(object)


def joined(parts: list[Columns]) -> pd.DataFrame:
    """One table of all particles; a column that only some have is 0 or "None" for the others.

    The parts are used up, so that hardly more than the table itself is ever in memory.
    """
    parts = [part for part in parts if part]
    rows = [len(next(iter(part.values()))) for part in parts]
    labels = list(dict.fromkeys(label for part in parts for label in part))
    table = {}
    for label in labels:
        values = [part.pop(label, None) for part in parts]
        numeric = all(value is None or value.dtype != object for value in values)
        missing: AnyArray = np.array(0) if numeric else np.array("None", object)
        filled = [np.repeat(missing, n) if v is None else v for v, n in zip(values, rows, strict=True)]
        del values
        table[label] = pd.Series(np.concatenate(filled), dtype=None if numeric else "str", copy=False)
    return pd.DataFrame(table, copy=False)
