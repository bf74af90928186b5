"""The options of a 2D classification."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from boxwood.errors import InputError
from boxwood.jobs.backend import backend_option
from boxwood.options import Options, option
from boxwood.options.joboptions import Alternatives

if TYPE_CHECKING:
    from boxwood.class2d import Class2DParameters

_HELIX = "helical segments are not treated in a way of their own; classify them as single particles"


@dataclass(frozen=True, kw_only=True)
class Class2DOptions(Options):
    """Options of `boxwood class2d`; those of RELION's Class2D that have no meaning here are refused."""

    particles: Path | None = option(
        "particles STAR file; required unless an earlier run is continued",
        None,
        group="I/O",
        input="particles",
        joboption="fn_img",
        flag="--i",
        begins=True,
    )

    ctf: bool = option("correct for the CTF", True, group="CTF", joboption="do_ctf_correction", flag="--ctf")
    ctf_phase_flipped: bool = option(
        "the images' phases have been flipped",
        False,
        group="CTF",
        joboption="ctf_phase_flipped",
        flag="--ctf_phase_flipped",
        needs="ctf",
    )
    ctf_intact_first_peak: bool = option(
        "take the CTF as 1 up to its first peak",
        False,
        group="CTF",
        joboption="ctf_intact_first_peak",
        flag="--ctf_intact_first_peak",
        needs="ctf",
    )

    classes: int = option(
        "number of classes", 50, at_least=1, group="Optimisation", joboption="nr_classes", flag="--K"
    )
    regularisation: float = option(
        "regularisation parameter T: larger keeps finer detail and more noise",
        2.0,
        above=0,
        group="Optimisation",
        joboption="tau_fudge",
        flag="--tau2_fudge",
    )
    iterations: int = option(
        "number of iterations",
        25,
        at_least=1,
        group="Optimisation",
        joboption=("nr_iter", "nr_iter_em"),
        flag="--iter",
        needs="algorithm=em",
    )
    until_converged: bool = option(
        "end before the last iteration once nothing changes any more",
        False,
        group="Optimisation",
        needs="algorithm=em",
    )
    algorithm: str = option(
        "em takes all particles in every iteration; vdam, for large sets, mini-batches and all in the end",
        "em",
        choices=("em", "vdam"),
        group="Optimisation",
        joboption=Alternatives(
            {"em": {"do_em": "Yes", "do_grad": "No"}, "vdam": {"do_em": "No", "do_grad": "Yes"}}
        ),
    )
    mini_batches: int = option(
        "number of iterations of vdam",
        200,
        at_least=1,
        group="Optimisation",
        joboption="nr_iter_grad",
        needs="algorithm=vdam",
    )
    batch_size: int | None = option(
        "particles of every mini-batch; by default 25 for each class and at least 200, later up to 200 for "
        "each class",
        None,
        at_least=1,
        group="Optimisation",
        needs="algorithm=vdam",
    )
    write_every: int = option(
        "write the files of every so many mini-batches, and of the last",
        10,
        at_least=1,
        group="Optimisation",
        flag="--grad_write_iter",
        needs="algorithm=vdam",
    )
    fast_subsets: bool = option(
        "use part of the particles in early iterations",
        False,
        group="Optimisation",
        joboption="do_fast_subsets",
        needs="algorithm=em",
        flag="--fast_subsets",
    )
    mask_diameter: float | None = option(
        "diameter of the circular mask, which ends with its soft edge of 5 pixels within the box; required "
        "unless an earlier run is continued",
        None,
        unit="Å",
        above=0,
        group="Optimisation",
        joboption="particle_diameter",
        flag="--particle_diameter",
        begins=True,
    )
    zero_mask: bool = option(
        "zeros outside of the mask; otherwise noise of the particles' spectrum",
        True,
        group="Optimisation",
        joboption="do_zero_mask",
        flag="--zero_mask",
    )
    limit_resolution: float | None = option(
        "leave frequencies beyond this resolution out",
        None,
        unit="Å",
        group="Optimisation",
        joboption="highres_limit",
        flag="--strict_highres_exp",
    )
    limit_low_resolution: float | None = option(
        "let frequencies below this resolution not count in the search",
        None,
        unit="Å",
        group="Optimisation",
        flag="--strict_lowres_exp",
    )
    initial_resolution: float | None = option(
        "low-pass of the first class averages; by default 0.07 of the sampling frequency",
        None,
        unit="Å",
        group="Optimisation",
        flag="--ini_high",
    )
    first_iteration_cc: bool = option(
        "in the first iteration give every particle to its best normalised correlation; balanced always does",
        False,
        group="Optimisation",
        flag="--firstiter_cc",
    )
    center_classes: bool = option(
        "centre the class averages in every iteration; recipe relion never does",
        True,
        group="Optimisation",
        joboption="do_center",
        flag="--center_classes",
    )
    recipe: str = option(
        "balanced keeps all classes alive; plain is expectation-maximisation with a prior for each class; "
        "relion is that with RELION 3.1's own arithmetic, much slower, to compare with it",
        "balanced",
        choices=("balanced", "plain", "relion"),
        group="Optimisation",
    )
    merge_duplicates: bool = option(
        "make one class of those that show the same view, in late iterations; their numbers stay empty",
        False,
        group="Optimisation",
    )
    noise_groups: str = option(
        "which particles share a noise spectrum: those of an optics group, or of a micrograph as in RELION 3",
        "optics",
        choices=("optics", "micrograph"),
        group="Optimisation",
    )
    normalise: bool = option(
        "bring the background of every image to mean 0 and standard deviation 1, its ramp taken away",
        False,
        group="Optimisation",
    )
    norm_correction: bool = option(
        "estimate the contrast of every particle", True, group="Optimisation", flag="--norm"
    )
    scale_correction: bool = option(
        "estimate the contrast of every micrograph", True, group="Optimisation", flag="--scale"
    )
    save_posterior: int = option(
        "write this many of the most probable poses of every particle, class, angle, offset and probability, "
        "to run_itNNN_posterior.npz after the last iteration",
        0,
        at_least=0,
        at_most=1000,
        group="Optimisation",
    )
    seed: int = option(
        "seed of all random numbers", 1, at_least=0, group="Optimisation", flag="--random_seed"
    )

    align: bool = option(
        "search angles and offsets; otherwise particles keep those of the STAR file",
        True,
        group="Sampling",
        joboption="dont_skip_align",
        flag="--skip_align",
    )
    skip_rotate: bool = option(
        "search offsets only; particles keep the angles of the STAR file",
        False,
        group="Sampling",
        flag="--skip_rotate",
        needs="align",
    )
    allow_coarser_sampling: bool = option(
        "search with coarser steps while particles cannot be placed as accurately as the steps allow",
        False,
        group="Sampling",
        joboption="allow_coarser",
        flag="--allow_coarser_sampling",
        needs="align",
    )
    psi_step: float = option(
        "in-plane angular step",
        6.0,
        unit="degree",
        above=0,
        at_most=36,
        group="Sampling",
        joboption="psi_sampling",
        flag="--psi_step",
        needs="align",
    )
    offset_range: float = option(
        "search offsets up to this far",
        5.0,
        unit="px",
        at_least=0,
        group="Sampling",
        joboption="offset_range",
        flag="--offset_range",
        needs="align",
    )
    offset_step: float = option(
        "step of the offsets",
        1.0,
        unit="px",
        above=0,
        group="Sampling",
        joboption="offset_step",
        flag="--offset_step",
        needs="align",
    )
    search: str = option(
        "two-pass searches all classes at limited resolution and offsets two steps apart first, and then "
        "only where that says that it matters; exhaustive searches everything",
        "two-pass",
        choices=("two-pass", "exhaustive"),
        group="Sampling",
        needs="align",
    )
    adaptive_fraction: float = option(
        "share of the posterior that goes from the first pass to the second, and from there to the averages",
        0.999,
        above=0,
        at_most=1,
        group="Sampling",
        flag="--adaptive_fraction",
        needs="align",
    )
    offset_prior: str = option(
        "relion repeats the mixed units of RELION's prior on offsets",
        "fixed",
        choices=("fixed", "relion"),
        group="Sampling",
        needs="align",
    )

    precision: str = option(
        "bf16 rounds what the search multiplies to bfloat16, on processors with AVX-512 BF16 and on GPUs; "
        "tf32 to TF32, on GPUs only; sums and averages stay in single precision",
        "float32",
        choices=("float32", "tf32", "bf16"),
        group="Compute",
    )
    backend: str = backend_option("Compute")
    memory_gib: float = option(
        "memory for the rows of the particles and as many of their transforms as fit, in GiB; the others are "
        "made again in every iteration",
        4.0,
        above=0,
        group="Compute",
    )
    scratch: Path | None = option(
        "copy the particles to this folder of a fast local disk and read them there; nothing of it is left",
        None,
        group="Compute",
        joboption="scratch_dir",
        flag="--scratch_dir",
        metavar="DIR",
    )
    keep_free_scratch: float = option(
        "leave so much of that disk free; particles that do not fit are read from where they are",
        10.0,
        unit="GB",
        at_least=0,
        group="Compute",
        flag="--keep_free_scratch",
        needs="scratch",
    )

    grad: bool | None = option(
        "",
        refused="mini-batches are asked for with --algorithm vdam",
        flag="--grad",
    )
    helix: bool | None = option("", refused=_HELIX, flag="--helix")
    helical_outer_diameter: float | None = option("", refused=_HELIX, flag="--helical_outer_diameter")
    gpu: str | None = option("", refused="GPUs are chosen with --backend cuda:0,1", flag="--gpu")
    pool: int | None = option("", refused="batches are sized automatically", flag="--pool")
    preread_images: bool | None = option("", refused="set --memory-gib instead", flag="--preread_images")

    def validate(self) -> None:
        """Refuse combinations of values.

        Raises
        ------
        InputError
        """
        for name in ("ctf_phase_flipped", "ctf_intact_first_peak"):
            if getattr(self, name) and not self.ctf:
                raise InputError(f"{name} means nothing without CTF correction; leave it out, or use --ctf")
        if self.fast_subsets and self.algorithm == "em" and self.iterations < 20:
            raise InputError(
                f"fast_subsets needs at least 20 iterations, since the first 15 use part of the particles; "
                f"{self.iterations} were asked for"
            )

    def parameters(self) -> Class2DParameters:
        """What the algorithm is told. An angstrom limit of 0 or less is none, as in RELION.

        Raises
        ------
        InputError
            The mask diameter is missing.
        """
        from boxwood.class2d import Class2DParameters

        if self.mask_diameter is None:
            raise InputError("please give mask_diameter, the diameter of the circular mask in Å")
        values = {_OPTION_OF.get(f.name, f.name): f.name for f in fields(Class2DParameters)}
        known = {name: getattr(self, name) for name in values if hasattr(self, name)}
        for name in ("limit_resolution", "limit_low_resolution", "initial_resolution"):
            known[name] = known[name] if known[name] is not None and known[name] > 0 else None
        return Class2DParameters(**{values[name]: value for name, value in known.items()})

    def changes(self, earlier: Class2DParameters, given: Collection[str]) -> Class2DParameters:
        """The settings of an earlier run with the options that were `given` now.

        Raises
        ------
        InputError
            The number of classes would change.
        """
        now = replace(self, mask_diameter=self.mask_diameter or earlier.mask_diameter_angstrom).parameters()
        names = {f.name for f in fields(earlier) if _OPTION_OF.get(f.name, f.name) in given}
        if "classes" in names and now.classes != earlier.classes:
            raise InputError(
                f"the run to continue has {earlier.classes} classes and cannot go on with {now.classes}; "
                "start a new one"
            )
        return replace(earlier, **{name: getattr(now, name) for name in names})


# Field of Class2DParameters: option.
_OPTION_OF = {
    "mask_diameter_angstrom": "mask_diameter",
    "psi_step_deg": "psi_step",
    "offset_range_px": "offset_range",
    "offset_step_px": "offset_step",
    "limit_resolution_angstrom": "limit_resolution",
    "limit_low_resolution_angstrom": "limit_low_resolution",
    "initial_resolution_angstrom": "initial_resolution",
}
