"""The options of a live job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boxwood.errors import InputError
from boxwood.jobs.size_options import (
    background_diameter_option,
    box_size_option,
    check_diameters,
    mask_diameter_option,
    rescale_option,
)
from boxwood.options import Options, option


@dataclass(frozen=True, kw_only=True)
class LiveOptions(Options):
    """Options of `boxwood live`; as in `boxwood run`, much follows from the particle's diameter."""

    micrographs: Path | None = option(
        "micrographs STAR file that grows, such as that of a CTF job which is run again and again",
        None,
        group="I/O",
        input="micrographs",
    )
    watch: str | None = option(
        "pattern of the micrographs' files instead, such as 'MotionCorr/job002/*.mrc'; without CTF", None
    )
    pixel_size: float | None = option(
        "pixel size of micrographs that are watched; by default their headers' ",
        None,
        unit="Å",
        above=0,
        group="I/O",
        needs="watch",
    )
    voltage: float = option("voltage, to be written", 300.0, unit="kV", above=0, group="I/O", needs="watch")
    cs: float = option(
        "spherical aberration, to be written", 2.7, unit="mm", at_least=0, group="I/O", needs="watch"
    )
    amplitude_contrast: float = option(
        "amplitude contrast, to be written", 0.1, at_least=0, at_most=1, group="I/O", needs="watch"
    )
    settle: float = option(
        "take a file once it has not changed for so long", 10.0, unit="s", at_least=0, group="I/O"
    )
    poll: float = option("look for new micrographs every so often", 5.0, unit="s", above=0, group="I/O")
    stop_after: float | None = option(
        "finish when nothing new has come for so long; otherwise on Ctrl-C or the page's button",
        None,
        unit="min",
        at_least=0,
        group="I/O",
    )

    min_diameter: float = option("smallest diameter of the particle", group="Particle", unit="Å", above=0)
    max_diameter: float = option("largest diameter of the particle", group="Particle", unit="Å", above=0)
    white_particles: bool = option("the particles are white in the micrographs", False, group="Particle")
    method: str = option(
        "`log` picks by the Laplacian of Gaussian, `adaptive` learns from the first micrographs, `template` "
        "compares with references; it is chosen by itself if `--references` is given",
        "log",
        choices=("log", "adaptive", "template"),
        group="Picking",
    )
    references: Path | None = option(
        "2D references: class_averages.star, or a stack; the noise is learned from the first micrographs",
        None,
        group="Picking",
        input="class_averages",
    )
    references_ctf_corrected: bool = option(
        "the references are CTF-corrected, and are given each micrograph's CTF, if not watched without one",
        True,
        group="Picking",
        needs="method=template",
    )
    threshold_offset: float = option(
        "raise or lower the picking threshold", 0.0, unit="stddev", group="Picking", needs="method=log"
    )
    max_resolution: float = option(
        "resolution to which micrographs are used in picking",
        20.0,
        unit="Å",
        above=0,
        group="Picking",
        needs="method=log",
    )
    learn_from: int = option(
        "micrographs that `adaptive` and `template` learn from, the first that come",
        6,
        at_least=1,
        group="Picking",
        needs="method=adaptive or method=template",
    )
    box_size: int | None = box_size_option()
    rescale: int | None = rescale_option()
    background_diameter: int | None = background_diameter_option()
    classes: int = option("number of classes", 50, at_least=1, group="Classification")
    begin_with: int | None = option(
        "begin to classify with so many particles; 20 for each class if not given",
        None,
        at_least=1,
        group="Classification",
    )
    mini_batches: int = option(
        "mini-batches of a whole schedule, which is set back as particles come",
        200,
        at_least=10,
        group="Classification",
    )
    mask_diameter: float | None = mask_diameter_option()
    psi_step: float = option(
        "in-plane angular step", 6.0, unit="degree", above=0, at_most=36, group="Classification"
    )
    offset_range: float = option(
        "search offsets up to this far", 5.0, unit="px", at_least=0, group="Classification"
    )
    memory_gib: float = option(
        "memory for the rows of the particles and as many of their transforms as fit, in GiB",
        4.0,
        above=0,
        group="Classification",
    )
    finish: bool = option(
        "in the end, do the rest of the schedule and a last iteration over all particles",
        True,
        group="Classification",
    )
    seed: int = option("seed of the random numbers", 1, at_least=0, group="Classification")

    def validate(self) -> None:
        if (self.micrographs is None) == (self.watch is None):
            raise InputError("give either micrographs, a STAR file that grows, or watch, a pattern of files")
        check_diameters(self.min_diameter, self.max_diameter)
        if self.references is not None and self.method == "log":
            object.__setattr__(self, "method", "template")
        if (self.method == "template") != (self.references is not None):
            raise InputError(
                f"the method is {self.method}, and references are "
                f"{'given' if self.references else 'not'}; the method template needs them, others do not"
            )
        if self.begin_with is not None and self.begin_with < self.classes:
            raise InputError(
                f"begin_with is {self.begin_with}; it must be at least the {self.classes} classes"
            )

    @property
    def first_particles(self) -> int:
        """Particles with which the classification begins."""
        return self.begin_with or 20 * self.classes
