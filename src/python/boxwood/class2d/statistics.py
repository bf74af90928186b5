"""What an expectation over some particles leaves behind. Statistics add."""

from dataclasses import dataclass, fields

from boxwood.typing import AnyArray


@dataclass(frozen=True)
class Statistics:
    """Sums over particles; `a + b` are the sums over both sets.

    Attributes
    ----------
    numerator : (k, coefficients) complex128
        Sum of posterior x weight x CTF x image in the frame of the class, packed harmonics.
    denominator : (k, rings, 3) complex128
        Sum of posterior x weight x CTF^2, harmonics 0, 2, 4.
    class_mass, class_square, class_entropy : (k,) float64
        Sums of the posterior p of each class, of p^2, and of p times the entropy of the particle's p.
    residual : (groups, rings) float64
        Sum of the mean power of image minus model.
    group_count : (groups,) float64
    offset_square : float
        Sum of squared offsets, pixel^2.
    signal_image, signal_model : (micrographs,) float64
        Sums of <model, image> and <model, model> where the signal is strong, for the scale correction.
    count, log_likelihood, largest, entropy : float
        Particles; sums of log-likelihood, largest probability, and entropy of the posterior.
    """

    numerator: AnyArray
    denominator: AnyArray
    class_mass: AnyArray
    class_square: AnyArray
    class_entropy: AnyArray
    residual: AnyArray
    group_count: AnyArray
    offset_square: float
    signal_image: AnyArray
    signal_model: AnyArray
    count: float
    log_likelihood: float
    largest: float
    entropy: float

    def __add__(self, other: "Statistics") -> "Statistics":
        return Statistics(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def scaled(self, factor: float) -> "Statistics":
        """The sums of particles that count `factor` each."""
        return Statistics(*(getattr(self, f.name) * factor for f in fields(self)))

    @property
    def nothing(self) -> "Statistics":
        """Sums of the same shapes over no particle."""
        return Statistics(*(0 * getattr(self, f.name) for f in fields(self)))

    @property
    def shares(self) -> AnyArray:
        """(k,) posterior mass of each class, summing to 1."""
        return self.class_mass / self.class_mass.sum()


@dataclass(frozen=True)
class Halves:
    """Sums over each half of some particles; None where a half has none."""

    one: Statistics | None = None
    two: Statistics | None = None

    @classmethod
    def of(cls, half: int, sums: Statistics) -> "Halves":
        """Sums over particles of one half, 0 or 1."""
        return cls(two=sums) if half else cls(one=sums)

    @property
    def both(self) -> tuple[Statistics, Statistics]:
        """Zeros for a half that has no particle."""
        nothing = next(half.nothing for half in (self.one, self.two) if half is not None)
        return self.one or nothing, self.two or nothing

    def __add__(self, other: "Halves") -> "Halves":
        return Halves(_plus(self.one, other.one), _plus(self.two, other.two))


def _plus(left: Statistics | None, right: Statistics | None) -> Statistics | None:
    if left is None or right is None:
        return right if left is None else left
    return left + right
