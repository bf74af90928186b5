"""Optics groups of a classification, as the table data_optics has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from boxwood.errors import BoxwoodError, FileFormatError, InputError
from boxwood.io.star import read_star
from boxwood.typing import AnyArray

if TYPE_CHECKING:
    from boxwood.class2d import OpticsGroup
    from boxwood.io.particles import ParticleSet

_MATRIX = [f"rlnMagMat{i}{j}" for i in (0, 1) for j in (0, 1)]


def groups_in_use(particles: ParticleSet) -> tuple[pd.DataFrame, AnyArray]:
    """Rows of data_optics that particles refer to, in the order of that table, and each particle's row."""
    used = particles.optics["rlnOpticsGroup"].isin(particles.table["rlnOpticsGroup"].unique())
    optics = particles.optics[used].reset_index(drop=True)
    index = pd.Index(optics["rlnOpticsGroup"]).get_indexer(pd.Index(particles.table["rlnOpticsGroup"]))
    return optics, np.asarray(index, dtype=np.int64)


def magnifications(optics: pd.DataFrame) -> AnyArray:
    """(groups, 2, 2): rlnMagMat, or the identity."""
    if not all(label in optics for label in _MATRIX):
        return np.tile(np.eye(2), (len(optics), 1, 1))
    return optics[_MATRIX].to_numpy(dtype=np.float64).reshape(-1, 2, 2)


def relion_grey(optics: pd.DataFrame, pixel_sizes: AnyArray) -> AnyArray:
    """(groups,) RELION's grey scale of each group over ours, 1 for the first.

    RELION compares transforms divided by the pixels of the box, we those of images of unit noise per pixel.
    """
    box = optics["rlnImageSize"].to_numpy(np.float64) if "rlnImageSize" in optics else np.ones(len(optics))
    return (pixel_sizes[0] / pixel_sizes) * (box[0] / box) ** 2


def optics_groups(
    particles: ParticleSet, boxes: AnyArray, root: Path, *, ctf: bool, warn: Callable[[str], None]
) -> list[OpticsGroup]:
    """What a classification is told about each of `groups_in_use`.

    Parameters
    ----------
    particles : ParticleSet
    boxes : (groups,) int
        Edge of the images of each group, in pixels.
    root : Path
        Folder that the names of MTF files start from.
    ctf : bool
        Without CTF correction, neither aberrations nor the detector are corrected for.
    warn : callable
        Told, in a sentence, what cannot be corrected for: STAR files often outlive the detector's table.

    Raises
    ------
    InputError
        Values that make no sense.
    """
    from boxwood.class2d import OpticsGroup

    optics, _ = groups_in_use(particles)
    pixel = particles.pixel_size_of_groups()
    groups = []
    for (_, row), box, matrix in zip(optics.iterrows(), boxes, magnifications(optics), strict=True):
        size = pixel[int(row["rlnOpticsGroup"])]
        aberrations = _aberrations(row, particles.source) if ctf else {}
        mtf = _mtf(row, root, particles.source, warn) if ctf else None
        groups.append(OpticsGroup(int(box), size, matrix, mtf=mtf, **aberrations))
    return groups


def _aberrations(row: Mapping[str, Any], source: str) -> dict[str, Any]:
    tilt = (float(row.get("rlnBeamTiltX", 0.0)), float(row.get("rlnBeamTiltY", 0.0)))
    voltage, cs = float(row.get("rlnVoltage", np.nan)), float(row.get("rlnSphericalAberration", np.nan))
    if any(tilt) and not (np.isfinite([*tilt, cs]).all() and voltage > 0):
        raise InputError(
            f"{source} has a beam tilt of {tilt} mrad at {voltage} kV and Cs {cs} mm; correct data_optics"
        )
    found: dict[str, Any] = {
        "odd_zernike": _numbers(row.get("rlnOddZernike"), source),
        "even_zernike": _numbers(row.get("rlnEvenZernike"), source),
    }
    if any(tilt):
        found |= {"beam_tilt_mrad": tilt, "voltage_kv": voltage, "cs_mm": cs}
    return found


def _numbers(text: Any, source: str) -> tuple[float, ...]:
    """Of a vector as RELION writes it: [0.1,-0.2,...]."""
    if not isinstance(text, str) or text in ("", "None"):
        return ()
    try:
        values = tuple(float(part) for part in text.strip("[]").split(",") if part.strip())
    except ValueError:
        values = (np.nan,)
    if not np.isfinite(values).all():
        raise InputError(f"{source} has aberrations {text} in data_optics; expected numbers like [0.1,-0.2]")
    return values


def _mtf(row: Mapping[str, Any], root: Path, source: str, warn: Callable[[str], None]) -> AnyArray | None:
    """(m, 2): frequency in 1/Angstrom and transfer; the file counts in pixels of the movie."""
    name, pixel = row.get("rlnMtfFileName"), float(row.get("rlnMicrographOriginalPixelSize", np.nan))
    if not isinstance(name, str) or name in ("", "None"):
        return None
    try:
        if not pixel > 0:
            raise InputError("data_optics has no _rlnMicrographOriginalPixelSize, the pixel size of movies")
        return _mtf_table(root / name) / np.array([pixel, 1.0])
    except (BoxwoodError, OSError) as error:
        warn(f"the detector's {name} of {source} is not corrected for: {error}")
        return None


def _mtf_table(path: Path) -> AnyArray:
    labels = ["rlnResolutionInversePixel", "rlnMtfValue"]
    for table in read_star(path).values():
        if isinstance(table, pd.DataFrame) and set(labels) <= set(table):
            return table.sort_values(labels[0])[labels].to_numpy(dtype=np.float64)
    raise FileFormatError(f"{path} has no table with _rlnResolutionInversePixel and _rlnMtfValue.")
