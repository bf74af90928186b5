"""Where particles lie in their micrographs once the offsets that aligned them are applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from boxwood.errors import InputError

if TYPE_CHECKING:
    from boxwood.io.particles import ParticleSet
    from boxwood.typing import DoubleArray


def centres_angstrom(
    particles: ParticleSet, micrograph_pixel_size: float | None = None
) -> tuple[DoubleArray, DoubleArray]:
    """X and y of every particle, (n,) each: its coordinates less its offset.

    `micrograph_pixel_size` is what coordinates count in, if not what the STAR file says.

    Raises
    ------
    InputError
        A column is missing, or the pixel size of the micrographs.
    """
    table = particles.table
    needed = ["rlnMicrographName", "rlnCoordinateX", "rlnCoordinateY"]
    if missing := [name for name in needed if name not in table.columns]:
        raise InputError(f"{particles.source} has no {missing[0]}, without which particles have no place.")
    pixel_size = micrograph_pixel_size or _pixel_size(particles)
    x, y = (
        table[f"rlnCoordinate{axis}"].to_numpy(np.float64) * pixel_size - _shift_angstrom(particles, axis)
        for axis in "XY"
    )
    return x, y


def _shift_angstrom(particles: ParticleSet, axis: str) -> DoubleArray | float:
    name = f"rlnOrigin{axis}Angst"
    return particles.table[name].to_numpy(np.float64) if name in particles.table.columns else 0.0


def _pixel_size(particles: ParticleSet) -> DoubleArray:
    """Å per pixel of the coordinates, for every particle: those of the micrograph, not of a rescaled box."""
    from boxwood.io.optics import per_row

    for label in ("rlnMicrographPixelSize", "rlnMicrographOriginalPixelSize"):
        if label in particles.optics:
            return per_row(particles.optics, particles.table, label, particles.source, positive=True)
    raise InputError(
        f"{particles.source} does not say the pixel size of the micrographs; give --micrograph-pixel-size."
    )
