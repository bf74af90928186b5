"""What every backend offers. Shapes and units of each kernel stand here and nowhere else."""

from typing import Protocol

from boxwood.typing import DoubleArray, FloatArray


class Backend(Protocol):
    """A set of kernels. Arrays are C-contiguous; results do not depend on `threads`."""

    name: str

    def ctf(self, rows: DoubleArray, frequencies: FloatArray, mode: int, threads: int) -> FloatArray:
        """Contrast transfer function of n images at m spatial frequencies.

        Parameters
        ----------
        rows : (n, 9) float64
            Per image: defocus U and V (Angstrom), astigmatism angle (degree), phase shift (degree),
            voltage (kV), spherical aberration (mm), amplitude contrast, B-factor (Angstrom^2), scale.
        frequencies : (m, 2) float32
            x and y in 1/Angstrom.
        mode : int
            0, or a sum of 1 (data are phase-flipped: absolute value) and 2 (1 up to the first peak).
        threads : int

        Returns
        -------
        (n, m) float32
            Never smaller than 1e-8 in magnitude.
        """
        ...
