"""Options of picking: by diameter, by what is learned, or with templates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwood.errors import InputError
from boxwood.jobs.backend import backend_option
from boxwood.jobs.size_options import check_diameters
from boxwood.options import Options, option
from boxwood.options.joboptions import Field
from boxwood.options.kinds import Kind

_WITH_TEMPLATES = "method=template"
_RELIONS_SCORE = "score=relion"  # what only that has a use for
_LAPLACIAN = "method=log"
_ON_RELIONS_GRID = "method=log or score=relion"
_LEARNING = "method=adaptive or score=whitened"
# RELION's form says so where nothing else is wanted, and we do where templates pick.
USUAL_DISTANCE = 100.0


def by_templates(form: Mapping[str, str]) -> bool:
    """Whether a form of RELION, of any generation, asks for picking with 2D references."""
    return form.get("do_log", "Yes").lower() == "no" and form.get("fn_refs_autopick", "") != ""


class _Method:
    """RELION 3 picks with the references it is given unless it is told not to; later ones have a switch."""

    names: Collection[str] = ("do_log", "do_refs")

    def write(self, value: Any, kind: Kind) -> dict[str, str]:
        templates = value == "template"
        return {"do_log": "No" if templates else "Yes", "do_refs": "Yes" if templates else "No"}

    def read(self, form: Mapping[str, str]) -> Any:
        return "template" if by_templates(form) else None


@dataclass(frozen=True)
class _OfTemplates(Field):
    """A field that RELION reads where it picks with templates, and ignores otherwise."""

    def read(self, form: Mapping[str, str]) -> Any:
        return super().read(form) if by_templates(form) else None


def _template_option(help: str, default: Any, joboption: str, flag: str, **settings: Any) -> Any:
    settings = {"group": "References", "needs": _WITH_TEMPLATES} | settings
    unset = "-1" if default is None else ""
    return option(help, default, joboption=_OfTemplates(joboption, unset), flag=flag, **settings)


@dataclass(frozen=True, kw_only=True)
class AutopickOptions(Options):
    micrographs: Path = option(
        "micrographs STAR file",
        group="I/O",
        input="micrographs",
        joboption="fn_input_autopick",
        flag="--i",
    )
    pixel_size: float | None = option(
        "pixel size of the micrographs, where the STAR file does not tell it",
        None,
        unit="Å",
        above=0,
        group="I/O",
        joboption="angpix",
        flag="--angpix",
    )
    method: str = option(
        "how: `log` is RELION's Laplacian of Gaussian, `adaptive` learns what the particles look like, "
        "`template` compares with references; it is chosen by itself if `--references` is given",
        "log",
        choices=("log", "adaptive", "template"),
        group="I/O",
        joboption=_Method(),
    )
    references: Path | None = option(
        "2D references: class_averages.star, or a stack",
        None,
        group="I/O",
        input="class_averages",
        joboption=_OfTemplates("fn_refs_autopick", ""),
        flag="--ref",
    )
    min_diameter: float | None = option(
        "smallest diameter of a particle; `adaptive` may do without",
        None,
        unit="Å",
        at_least=2.5,
        group="Laplacian",
        joboption="log_diam_min",
        flag="--LoG_diam_min",
    )
    max_diameter: float | None = option(
        "largest diameter of a particle",
        None,
        unit="Å",
        at_least=2.5,
        group="Laplacian",
        joboption="log_diam_max",
        flag="--LoG_diam_max",
    )
    white_particles: bool = option(
        "the particles are white",
        False,
        group="Laplacian",
        joboption="log_invert",
        flag="--Log_invert",
        needs="method=log or method=adaptive",
    )
    max_resolution: float = option(
        "finest detail to use; -1 for all of it",
        20.0,
        unit="Å",
        group="Laplacian",
        joboption="log_maxres",
        flag="--lowpass",
        needs=_LAPLACIAN,
    )
    threshold_offset: float = option(
        "move the threshold by so many standard deviations of the figure of merit: more is stricter",
        0.0,
        group="Laplacian",
        joboption="log_adjust_thr",
        flag="--LoG_adjust_threshold",
        needs=_LAPLACIAN,
    )
    upper_threshold: float | None = option(
        "leave out what is so many standard deviations above the mean, such as ice; 5 is a good start",
        None,
        group="Laplacian",
        joboption="log_upper_thr",
        unset="999",
        flag="--LoG_upper_threshold",
        needs=_LAPLACIAN,
    )
    neighbour_percent: float = option(
        "a pick of diameter d keeps others (d + smallest diameter) / 2 away, times so many percent",
        100.0,
        at_least=0,
        group="Laplacian",
        flag="--LoG_neighbour",
        needs=_LAPLACIAN,
    )
    min_distance: float | None = option(
        "least distance between picks: by RELION's score of templates, 100 Å if not given; else, where it is "
        "given, instead of 0.75 diameters, or beyond what the diameters of `log` demand (RELION ignores it)",
        None,
        unit="Å",
        above=0,
        group="autopicking",
        joboption=_OfTemplates("mindist_autopick", f"{USUAL_DISTANCE:g}"),
        flag="--min_distance",
    )
    skip_side: int = option(
        "pixels along the edge without picks, at least half of the smallest diameter",
        0,
        at_least=0,
        group="autopicking",
        flag="--skip_side",
    )
    shrink: float = option(
        "search on a grid that holds the finest detail (0), on this fraction of the micrograph's size "
        "(up to 1), or on so many pixels",
        0.0,
        at_least=0,
        group="autopicking",
        joboption="shrink",
        flag="--shrink",
        needs=_ON_RELIONS_GRID,
    )
    write_fom_maps: bool = option(
        "keep maps of the figure of merit, to try other thresholds at once",
        False,
        group="autopicking",
        joboption="do_write_fom_maps",
        flag="--write_fom_maps",
        needs=_ON_RELIONS_GRID,
    )
    read_fom_maps: bool = option(
        "with --continue: use the maps this job kept earlier and leave them as they are; diameters and "
        "detail must be the same",
        False,
        group="autopicking",
        joboption="do_read_fom_maps",
        flag="--read_fom_maps",
        needs="continue",
    )
    seed: int = option(
        "seed of the noise around micrographs that are not square; each name draws its own",
        1,
        at_least=0,
        group="autopicking",
        flag="--random_seed",
    )
    backend: str = backend_option("autopicking", needs="method=log")
    diameter: str | None = option(
        "with `adaptive`, instead of a range: the diameter in Å, which stands for a range of ±10 % around "
        "it, or `auto` to find it",
        None,
        group="Adaptive",
        needs="method=adaptive",
    )
    model: Path | None = option(
        "use the picking_model.star of an earlier job instead of learning anew; with references, of a job "
        "with the same ones",
        None,
        group="Adaptive",
        needs=_LEARNING,
    )
    learn_from: int = option(
        "micrographs to learn from, spread over the list", 6, at_least=1, group="Adaptive", needs=_LEARNING
    )
    max_local_fdr: float = option(
        "a peak is picked if at most this share of the peaks with its score are background",
        0.5,
        above=0,
        at_most=1,
        group="Adaptive",
        needs=_LEARNING,
    )
    doubtful: bool = option(
        "pick even where nothing convincing was found", False, group="Adaptive", needs="method=adaptive"
    )
    align: bool = option(
        "centre the picks on their class averages by a short 2D classification of all of them",
        False,
        group="Adaptive",
        needs=_LEARNING,
    )
    score: str = option(
        "`whitened` compares with the templates in the micrographs' own noise, with a calibrated threshold "
        "(--max-local-fdr); `relion` is RELION's score, with its threshold and its maps",
        "whitened",
        choices=("whitened", "relion"),
        group="References",
        needs=_WITH_TEMPLATES,
    )
    lowpass: float = _template_option(
        "finest detail of the references to use; -1 for all of it", 20.0, "lowpass", "--lowpass", unit="Å"
    )
    highpass: float | None = _template_option(
        "coarsest detail of the micrographs to use",
        None,
        "highpass",
        "--highpass",
        unit="Å",
        above=0,
        needs=_RELIONS_SCORE,
    )
    reference_pixel_size: float | None = _template_option(
        "pixel size of the references, where their header does not tell it",
        None,
        "angpix_ref",
        "--angpix_ref",
        unit="Å",
        above=0,
    )
    mask_diameter: float | None = option(
        "diameter of the mask around the particle; measured on masked references if not given",
        None,
        unit="Å",
        above=0,
        group="References",
        joboption=("particle_diameter", ""),
        flag="--particle_diameter",
        needs=_WITH_TEMPLATES,
    )
    angular_sampling: float = _template_option(
        "step of the in-plane angle; 360 for none",
        5.0,
        "psi_sampling_autopick",
        "--ang",
        unit="degree",
        above=0,
        at_most=360,
    )
    references_inverted: bool = _template_option(
        "particles are white in the references and dark in the micrographs, or the other way round",
        True,
        "do_invert_refs",
        "--invert",
    )
    references_ctf_corrected: bool = _template_option(
        "the references are CTF-corrected, and are given each micrograph's CTF",
        True,
        "do_ctf_autopick",
        "--ctf",
    )
    ctf_intact_first_peak: bool = _template_option(
        "ignore CTFs until their first peak",
        False,
        "do_ignore_first_ctfpeak_autopick",
        "--ctf_intact_first_peak",
        needs=_RELIONS_SCORE,
    )
    picking_threshold: float = _template_option(
        "least figure of merit of a pick",
        0.05,
        "threshold_autopick",
        "--threshold",
        group="autopicking",
        needs=_RELIONS_SCORE,
    )
    max_stddev_noise: float = _template_option(
        "largest standard deviation of the noise around a pick; -1 for any",
        1.1,
        "maxstddevnoise_autopick",
        "--max_stddev_noise",
        group="autopicking",
        needs=_RELIONS_SCORE,
    )
    min_avg_noise: float = _template_option(
        "smallest average of the noise around a pick; -999 for any",
        -999.0,
        "minavgnoise_autopick",
        "--min_avg_noise",
        group="autopicking",
        needs=_RELIONS_SCORE,
    )
    reference_3d: str | None = option(
        "3D reference",
        None,
        group="References",
        joboption="fn_ref3d_autopick",
        unset="",
        flag="--ref",
        refused="maps are not projected by this job; give it a stack of projections",
    )
    helix: bool | None = option(
        "pick helical segments",
        None,
        group="Helix",
        joboption="do_pick_helical_segments",
        unset="No",
        flag="--helix",
        refused="helical segments are not picked by this job; leave it out",
    )

    def validate(self) -> None:
        if self.references is not None and self.method == "log":
            object.__setattr__(self, "method", "template")
        if self.method == "template" or self.references is not None:
            self._validate_templates()
            return
        if self.method == "adaptive" and (self.write_fom_maps or self.read_fom_maps):
            raise InputError("the method adaptive keeps no maps; leave write_fom_maps and read_fom_maps out")
        check_diameters(self.min_diameter, self.max_diameter)
        given = self.min_diameter is not None, self.max_diameter is not None
        if not all(given) and (
            any(given) or self.method == "log" or (self.diameter is None and self.model is None)
        ):
            names = ("min_diameter", "max_diameter")
            missing = [name for name, known in zip(names, given, strict=True) if not known]
            raise InputError(
                f"{' and '.join(missing)} {'is' if any(given) else 'are'} not given; say between which "
                "diameters the particles are" + ("" if self.method == "log" else ", or diameter auto")
            )
        self.diameter_range()

    def _validate_templates(self) -> None:
        if self.method == "adaptive":
            raise InputError("references are for the method template, not adaptive; leave one of them out")
        if self.references is None:
            raise InputError(
                "references are not given; the method template needs a stack or class_averages.star"
            )
        if self.score != "relion" and (self.write_fom_maps or self.read_fom_maps):
            raise InputError("maps of templates are those of RELION's score; add score relion")
        if self.diameter is not None:
            raise InputError("diameter is for the method adaptive; leave it out")
        if self.score != "whitened" and (self.align or self.model is not None):
            raise InputError(
                "model and align are for the method adaptive and the score whitened; leave them out"
            )

    def log_range(self) -> tuple[float, float]:
        """Smallest and largest diameter of the method log, Å, which does not go without."""
        if self.min_diameter is None or self.max_diameter is None:
            raise InputError("min_diameter and max_diameter are not given; the method log needs both")
        return self.min_diameter, self.max_diameter

    def diameter_range(self) -> tuple[float | None, float | None]:
        """Smallest and largest diameter to learn with, Å; None where it is to be found."""
        if self.diameter is None:
            return self.min_diameter, self.max_diameter
        if self.method == "log" or self.min_diameter is not None:
            raise InputError("diameter is for the method adaptive, instead of min_diameter and max_diameter")
        if self.diameter == "auto":
            return None, None
        try:
            middle = float(self.diameter)
        except ValueError:
            middle = 0.0
        if not 2.5 <= middle < float("inf"):
            raise InputError(f"diameter is {self.diameter!r}; it must be auto or a number of at least 2.5 Å")
        return 0.9 * middle, 1.1 * middle
