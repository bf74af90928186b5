"""What a 2D classification is told, as plain numbers."""

from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from boxwood.class2d.convergence import PATIENCE
from boxwood.errors import InputError

# What values of a type may be; NumPy's numbers are fine, too.
_NUMBERS: dict[Any, type] = {int: Integral, float: Real}
# Share of the iterations after which weak classes are refilled no more.
_REFILLING = 0.65
# What recipe "relion" does not vary.
_ELSEWHERE = {
    "algorithm": "em",
    "search": "two-pass",
    "zero_mask": True,
    "limit_resolution_angstrom": None,
    "limit_low_resolution_angstrom": None,
    "align": True,
    "skip_rotate": False,
    "allow_coarser_sampling": False,
    "first_iteration_cc": False,
    "merge_duplicates": False,
    "save_posterior": 0,
    "precision": "float32",
}


@dataclass(frozen=True)
class Class2DParameters:
    """Settings of `classify2d`; defaults are the tutorial's.

    Attributes
    ----------
    classes : int
        Number of classes, K.
    iterations : int
        Passes over all particles.
    until_converged : bool
        Iterate no further once nothing changes any more.
    regularisation : float
        RELION's T. With the balanced recipe the prior is common to all classes and T enters as T/4
        (T/2 with vdam), see docs/class2d.md.
    mask_diameter_angstrom : float
        Of the circle around the particle, which ends with its soft edge of 5 pixels within the box.
    psi_step_deg : float
        Largest step; rounded down to 360 degrees over a number 2^a 3^b 5^c.
    offset_range_px, offset_step_px : float
        Radius of the disc of offsets, in pixels of the images, and their finest step.
    search : str
        "two-pass" searches all classes at offsets two steps apart and at limited resolution first, and
        then only where that says that it matters; "exhaustive" searches everything.
    adaptive_fraction : float
        How much of the posterior goes from the first pass to the second, and from there to the averages.
    zero_mask : bool
        Outside of the mask: zero, or noise with the spectrum of the images.
    limit_resolution_angstrom : float or None
        Frequencies beyond it are not used at all.
    limit_low_resolution_angstrom : float or None
        Frequencies below it are averaged, but do not count in the likelihood.
    initial_resolution_angstrom : float or None
        Low-pass of the first averages; None: 0.07 of the sampling frequency, as RELION.
    align : bool
        Search angles and offsets; if not, particles keep those they come with.
    skip_rotate : bool
        Search offsets, but keep the angles that particles come with.
    allow_coarser_sampling : bool
        Search with steps of 0.8 of the expected accuracies where that is coarser.
    first_iteration_cc : bool
        The first iteration gives every particle wholly to its largest normalised correlation, which the
        balanced recipe does anyway.
    fast_subsets : bool
        Early iterations use part of the particles.
    algorithm : str
        "em", expectation-maximisation in `iterations` passes over all particles, or "vdam", in
        `mini_batches` small parts and a last pass over all, for large sets (docs/class2d.md, "Mini-batches").
    mini_batches : int
        Iterations of "vdam".
    batch_size : int or None
        Particles of a mini-batch; None: 25 a class and at least 200, growing to a tenth of what the sums
        remember.
    restarted : int
        Mini-batches count their schedule from this iteration on, which is set back where particles are added
        (`boxwood.class2d.grow`).
    unseen_first : bool
        Mini-batches take particles that have no class yet before others.
    recipe : str
        "balanced" keeps classes alive (docs/class2d.md, "Keeping classes alive"), "plain" is
        expectation-maximisation with a prior per class, and "relion" that with the arithmetic of RELION 3.1
        (docs/class2d.md, "RELION's own arithmetic").
    offset_prior : str
        "fixed" has both terms in Angstrom; "relion" repeats RELION's mixture of pixels and Angstrom.
    merge_duplicates : bool
        Make one class of those that show the same view, in late iterations; their numbers stay empty.
    norm_correction, scale_correction : bool
        Estimate the contrast of every particle, and the grey scale of every micrograph.
    center_classes : bool
        Move the averages' centres of mass to the centre in every iteration.
    normalise : bool
        Bring the background of every image to mean 0 and standard deviation 1 when it is read.
    save_posterior : int
        Largest samples of every particle's posterior to keep, at most 1000.
    seed : int
        Equal seeds give equal results, bit for bit on the same instruction set.
    cut : float
        (class, offset) pairs this many nats below an image's best are dropped from its posterior.
    precision : str
        "bf16" rounds the inputs of the search's matrix product to bfloat16, on processors that have it and on
        GPUs; "tf32", to TF32, on GPUs only.
    memory_gib : float
        Transforms of images are kept until they fill this; others are computed again in every iteration.
    """

    classes: int = 50
    iterations: int = 25
    until_converged: bool = False
    regularisation: float = 2.0
    mask_diameter_angstrom: float = 200.0
    psi_step_deg: float = 6.0
    offset_range_px: float = 5.0
    offset_step_px: float = 1.0
    search: str = "two-pass"
    adaptive_fraction: float = 0.999
    zero_mask: bool = True
    limit_resolution_angstrom: float | None = None
    limit_low_resolution_angstrom: float | None = None
    initial_resolution_angstrom: float | None = None
    align: bool = True
    skip_rotate: bool = False
    allow_coarser_sampling: bool = False
    first_iteration_cc: bool = False
    fast_subsets: bool = False
    algorithm: str = "em"
    mini_batches: int = 200
    batch_size: int | None = None
    restarted: int = 0
    unseen_first: bool = False
    recipe: str = "balanced"
    offset_prior: str = "fixed"
    merge_duplicates: bool = False
    norm_correction: bool = True
    scale_correction: bool = True
    center_classes: bool = True
    normalise: bool = False
    save_posterior: int = 0
    seed: int = 1
    cut: float = 15.0
    precision: str = "float32"
    memory_gib: float = 4.0

    def __post_init__(self) -> None:
        for field in fields(self):
            kind, value = _NUMBERS.get(field.type), getattr(self, field.name)
            if kind and (isinstance(value, bool) or not isinstance(value, kind)):
                word = "whole number" if kind is Integral else "number"
                raise InputError(f"{field.name} is {value!r}; it must be a {word}")
        positive = (
            "classes",
            "iterations",
            "mini_batches",
            "regularisation",
            "mask_diameter_angstrom",
            "psi_step_deg",
            "offset_step_px",
            "cut",
            "memory_gib",
        )
        for name in positive:
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; it must be greater than 0")
        if self.psi_step_deg > 36:
            raise InputError(f"psi_step_deg is {self.psi_step_deg}; it must be at most 36")
        low, high = self.limit_low_resolution_angstrom, self.limit_resolution_angstrom
        if low is not None and high is not None and low <= high:
            raise InputError(
                f"limit_low_resolution_angstrom is {low} and limit_resolution_angstrom {high}, which leaves "
                "nothing between them; the first must be greater"
            )
        if not 0 <= self.save_posterior <= 1000:
            raise InputError(f"save_posterior is {self.save_posterior}; it must be 0 to 1000")
        if self.offset_range_px < 0:
            raise InputError(f"offset_range_px is {self.offset_range_px}; it must be 0 or more")
        if not 0 < self.adaptive_fraction <= 1:
            raise InputError(
                f"adaptive_fraction is {self.adaptive_fraction}; it must be more than 0 and at most 1"
            )
        if self.search not in ("two-pass", "exhaustive"):
            raise InputError(f"search {self.search!r} is unknown; choose two-pass or exhaustive")
        if self.recipe not in ("balanced", "plain", "relion"):
            raise InputError(f"recipe {self.recipe!r} is unknown; choose balanced, plain or relion")
        if self.recipe == "relion":
            self._check_relion()
        if self.offset_prior not in ("fixed", "relion"):
            raise InputError(f"offset_prior {self.offset_prior!r} is unknown; choose fixed or relion")
        if self.precision not in ("float32", "tf32", "bf16"):
            raise InputError(f"precision {self.precision!r} is unknown; choose float32, tf32 or bf16")
        if self.algorithm not in ("em", "vdam"):
            raise InputError(f"algorithm {self.algorithm!r} is unknown; choose em or vdam")
        if self.batch_size is not None and self.batch_size < self.classes:
            raise InputError(
                f"batch_size is {self.batch_size}; it must be at least the {self.classes} classes"
            )
        if self.restarted < 0 or (self.restarted and self.algorithm == "em"):
            raise InputError(f"restarted is {self.restarted}; it must be 0, or more with algorithm vdam")
        if self.fast_subsets and self.algorithm == "vdam":
            raise InputError("fast_subsets is for algorithm em; vdam has mini-batches in their place")
        if self.until_converged and self.algorithm == "vdam":
            raise InputError("until_converged is for algorithm em; vdam ends with its last mini-batch")
        if self.merge_duplicates and self.algorithm == "vdam":
            raise InputError("merge_duplicates is for algorithm em; sums of mini-batches know no halves")
        if self.merge_duplicates and not self.merging:
            raise InputError(
                f"merge_duplicates needs iterations after the last refilling; {self.iterations} are too few"
            )
        earliest = self.last_scheduled + PATIENCE + 1
        if self.until_converged and earliest >= self.last_iteration:
            raise InputError(
                f"until_converged could end this run after iteration {earliest} at the earliest, and it has "
                f"{self.iterations}; give more iterations, or leave until_converged out"
            )

    def _check_relion(self) -> None:
        """Refuse what only the polar algorithm does."""
        only = {name: getattr(self, name) for name in _ELSEWHERE if getattr(self, name) != _ELSEWHERE[name]}
        for name, value in only.items():
            raise InputError(
                f"{name} is {value}; recipe relion knows {_ELSEWHERE[name]} only, use plain or balanced"
            )

    @property
    def last_iteration(self) -> int:
        """Iterations, or mini-batches, in all."""
        return self.restarted + self._scheduled

    @property
    def _scheduled(self) -> int:
        """Iterations from the beginning of the schedule to its end."""
        return self.mini_batches if self.algorithm == "vdam" else self.iterations

    @property
    def turns(self) -> bool:
        """Whether angles are searched."""
        return self.align and not self.skip_rotate

    @property
    def hard_iterations(self) -> int:
        """First iterations, in which every particle goes wholly to its best normalised correlation."""
        balanced = round(0.2 * self._scheduled) if self.recipe == "balanced" else 0
        return self.restarted + max(balanced, int(self.first_iteration_cc))

    @property
    def last_scheduled(self) -> int:
        """Last iteration that differs from later ones in what is done; only after it can all converge."""
        last_merge = max(self.merging, default=0)
        return max(self.hard_iterations, self.last_refill, last_merge, 15 if self.fast_subsets else 0)

    @property
    def last_refill(self) -> int:
        """Last iteration after which weak classes are refilled."""
        share = 0.8 if self.algorithm == "vdam" else _REFILLING
        return self.restarted + int(share * self._scheduled) if self.recipe == "balanced" else 0

    @property
    def merging(self) -> range:
        """Iterations that merge duplicates: every second one after refilling, three at most."""
        first = max(self.hard_iterations, int(_REFILLING * self.last_iteration)) + 2
        return range(first, min(first + 5, self.last_iteration - 1), 2) if self.merge_duplicates else range(0)

    @property
    def refill_interval(self) -> int:
        """Iterations from one refilling to the next: 2, or as many mini-batches as stand for that."""
        return max(2, round(2 * self.mini_batches / 25)) if self.algorithm == "vdam" else 2
