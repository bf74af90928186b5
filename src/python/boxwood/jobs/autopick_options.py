"""Options of picking by diameter; RELION's fields for templates are known, to say why not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwood.errors import InputError
from boxwood.jobs.backend import backend_option
from boxwood.options import Options, option
from boxwood.options.joboptions import Noted

_TEMPLATES = "it belongs to picking with templates, and this job picks by diameter; leave it out"


def _template_option(help: str, joboption: str | tuple[str, str], unset: str, flag: str = "") -> Any:
    return option(
        help, None, group="References", joboption=joboption, unset=unset, flag=flag, refused=_TEMPLATES
    )


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
        "how: `log` is RELION's Laplacian of Gaussian, `adaptive` learns what the particles look like",
        "log",
        choices=("log", "adaptive"),
        group="Laplacian",
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
        "the particles are white", False, group="Laplacian", joboption="log_invert", flag="--Log_invert"
    )
    max_resolution: float = option(
        "finest detail to use; -1 for all of it",
        20.0,
        unit="Å",
        group="Laplacian",
        joboption="log_maxres",
        flag="--lowpass",
    )
    threshold_offset: float = option(
        "move the threshold by so many standard deviations of the figure of merit: more is stricter",
        0.0,
        group="Laplacian",
        joboption="log_adjust_thr",
        flag="--LoG_adjust_threshold",
    )
    upper_threshold: float | None = option(
        "leave out what is so many standard deviations above the mean, such as ice; 5 is a good start",
        None,
        group="Laplacian",
        joboption="log_upper_thr",
        unset="999",
        flag="--LoG_upper_threshold",
    )
    neighbour_percent: float = option(
        "a pick of diameter d keeps others (d + smallest diameter) / 2 away, times so many percent",
        100.0,
        at_least=0,
        group="Laplacian",
        flag="--LoG_neighbour",
    )
    min_distance: float | None = option(
        "least distance between picks, beyond what their diameters demand (RELION ignores it here)",
        None,
        unit="Å",
        above=0,
        group="autopicking",
        joboption=Noted("mindist_autopick", "100"),
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
    )
    write_fom_maps: bool = option(
        "keep maps of the figure of merit, to try other thresholds at once",
        False,
        group="autopicking",
        joboption="do_write_fom_maps",
        flag="--write_fom_maps",
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
        "with `adaptive`, instead of a range: the diameter in Å, give or take a tenth, or `auto` to find it",
        None,
        group="Adaptive",
    )
    model: Path | None = option(
        "use the picking_model.star of an earlier job instead of learning anew",
        None,
        group="Adaptive",
    )
    learn_from: int = option(
        "micrographs to learn from, spread over the list", 6, at_least=1, group="Adaptive"
    )
    max_local_fdr: float = option(
        "a peak is picked if at most this share of the peaks with its score are background",
        0.5,
        above=0,
        at_most=1,
        group="Adaptive",
    )
    doubtful: bool = option("pick even where nothing convincing was found", False, group="Adaptive")
    align: bool = option(
        "centre the picks on their class averages by a short 2D classification of all of them",
        False,
        group="Adaptive",
    )
    references: str | None = _template_option("2D references", "fn_refs_autopick", "", "--ref")
    reference_3d: str | None = _template_option("3D reference", "fn_ref3d_autopick", "", "--ref")
    lowpass: float | None = _template_option("low-pass filter of references", "lowpass", "20")
    highpass: float | None = _template_option("high-pass filter", "highpass", "-1", "--highpass")
    reference_pixel_size: float | None = _template_option(
        "pixel size of references", "angpix_ref", "-1", "--angpix_ref"
    )
    mask_diameter: float | None = _template_option(
        "mask diameter of references", ("particle_diameter", ""), "-1", "--particle_diameter"
    )
    angular_sampling: float | None = _template_option(
        "in-plane angular sampling", "psi_sampling_autopick", "5", "--ang"
    )
    references_inverted: bool | None = _template_option(
        "references have inverted contrast", "do_invert_refs", "Yes", "--invert"
    )
    references_ctf_corrected: bool | None = _template_option(
        "references are CTF-corrected", "do_ctf_autopick", "Yes", "--ctf"
    )
    ctf_intact_first_peak: bool | None = _template_option(
        "ignore CTFs until the first peak",
        "do_ignore_first_ctfpeak_autopick",
        "No",
        "--ctf_intact_first_peak",
    )
    picking_threshold: float | None = _template_option(
        "picking threshold of templates; here threshold_offset", "threshold_autopick", "0.05", "--threshold"
    )
    max_stddev_noise: float | None = _template_option(
        "largest standard deviation of noise", "maxstddevnoise_autopick", "1.1", "--max_stddev_noise"
    )
    min_avg_noise: float | None = _template_option(
        "smallest average of noise", "minavgnoise_autopick", "-999", "--min_avg_noise"
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
        given = self.min_diameter is not None, self.max_diameter is not None
        if self.min_diameter is not None and self.max_diameter is not None:
            if self.max_diameter < self.min_diameter:
                raise InputError(
                    f"max_diameter is {self.max_diameter:g} Å, less than min_diameter, which is "
                    f"{self.min_diameter:g} Å; exchange them"
                )
        elif any(given) or (self.method == "log" or (self.diameter is None and self.model is None)):
            names = ("min_diameter", "max_diameter")
            missing = [name for name, known in zip(names, given, strict=True) if not known]
            raise InputError(
                f"{' and '.join(missing)} {'is' if any(given) else 'are'} not given; say between which "
                "diameters the particles are" + ("" if self.method == "log" else ", or diameter auto")
            )
        self.diameter_range()

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
