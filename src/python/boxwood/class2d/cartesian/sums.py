"""What an expectation by RELION's arithmetic leaves behind."""

from dataclasses import dataclass, fields

import numpy as np

from boxwood.typing import AnyArray


@dataclass
class Sums:
    """Sums over particles; `a + b` are the sums over both sets.

    Attributes
    ----------
    numerator : (k, 2 edge + 1, edge + 1) complex128
        Posterior x CTF x image / noise, on the lattice of the references.
    denominator : (k, 2 edge + 1, edge + 1) float64
        Posterior x CTF^2 / noise.
    class_mass, class_square, class_entropy : (k,) float64
        Sums of the posterior p of each class, of p^2, and of p times the entropy of the particle's p.
    offset : (k, 2) float64
        Sums of posterior x offset, Angstrom.
    offset_square : float
        Of squared distances as the prior has them.
    residual : (groups, box / 2 + 1) float64
        Power of image minus model, summed over each shell.
    group_mass : (groups,) float64
    signal_image, signal_model : (micrographs,) float64
        Of <model, image> and <model, model> where the signal is strong.
    log_likelihood, largest, entropy : float
    """

    numerator: AnyArray
    denominator: AnyArray
    class_mass: AnyArray
    class_square: AnyArray
    class_entropy: AnyArray
    offset: AnyArray
    offset_square: float
    residual: AnyArray
    group_mass: AnyArray
    signal_image: AnyArray
    signal_model: AnyArray
    log_likelihood: float = 0.0
    largest: float = 0.0
    entropy: float = 0.0

    @classmethod
    def nothing(cls, classes: int, lattice: tuple[int, int], noise: tuple[int, int], scales: int) -> "Sums":
        """Zeros, for a lattice and noise spectra of these shapes."""
        return cls(
            np.zeros((classes, *lattice), dtype=np.complex128),
            np.zeros((classes, *lattice)),
            np.zeros(classes),
            np.zeros(classes),
            np.zeros(classes),
            np.zeros((classes, 2)),
            0.0,
            np.zeros(noise),
            np.zeros(noise[0]),
            np.zeros(scales),
            np.zeros(scales),
        )

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))
