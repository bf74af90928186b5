"""Correct boxes for the CTF while they are cut out."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from boxwood.backends import Backend
from boxwood.errors import InputError
from boxwood.extraction.sizes import check_box
from boxwood.imaging.fourier import frequency_grid
from boxwood.typing import DoubleArray, FloatArray, IntArray

# Filters of so many particles are held at once, where every particle has a CTF of its own.
AT_ONCE = 64
INTACT_FIRST_PEAK = 2  # mode of Backend.ctf


@dataclass(frozen=True)
class CtfCorrection:
    """Multiply the spectrum of every box by its CTF, or by the CTF's sign.

    Attributes
    ----------
    rows : (1 or n, 9) float64
        Of the micrograph, or of every particle; columns as in `Backend.ctf`.
    flip_only : bool
        Multiply by the sign.
    intact_first_peak : bool
        Leave the frequencies up to the first peak alone.
    box : int, optional
        Side of the wider box to correct in, in micrograph pixels; by default the particle's box.
    """

    rows: DoubleArray
    flip_only: bool = False
    intact_first_peak: bool = False
    box: int | None = None

    def check(self, particles: int, box_size: int) -> None:
        """Refuse what does not fit `particles` boxes of `box_size` pixels.

        Raises
        ------
        InputError
        """
        shape = np.shape(self.rows)
        if len(shape) != 2 or shape[0] not in (1, particles) or shape[1] != 9:
            raise InputError(f"the CTF's rows have shape {shape}, expected (1, 9) or ({particles}, 9)")
        if self.box is not None and check_box("the CTF's box", self.box) < box_size:
            raise InputError(
                f"the CTF's box is {self.box} px; it must be at least the box size, {box_size} px"
            )

    def batches(
        self, kept: IntArray, box_size: int, pixel_size_angstrom: float, backend: Backend, threads: int
    ) -> Iterator[tuple[slice, FloatArray]]:
        """Yield parts of `kept` with their filters (1 or n, box, box//2 + 1)."""
        box = self.box or box_size
        grid = frequency_grid((box, box), pixel_size_angstrom).reshape(-1, 2)
        mode = INTACT_FIRST_PEAK if self.intact_first_peak else 0
        rows = np.asarray(self.rows, np.float64)
        step = AT_ONCE if len(rows) > 1 else max(1, len(kept))
        for start in range(0, len(kept), step):
            part = slice(start, start + step)
            values = backend.ctf(rows if len(rows) == 1 else rows[kept[part]], grid, mode, threads)
            filters = np.sign(values) if self.flip_only else values
            yield part, filters.reshape(-1, box, box // 2 + 1).astype(np.float32)
