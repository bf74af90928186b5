"""Options of particle extraction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boxwood.errors import InputError
from boxwood.extraction.sizes import background_radius, check_box, rescaled_size
from boxwood.jobs.backend import backend_option
from boxwood.options import Options, option
from boxwood.options.joboptions import Switched


@dataclass(frozen=True, kw_only=True)
class ExtractOptions(Options):
    micrographs: Path = option(
        "micrographs STAR file", group="I/O", input="micrographs", joboption="star_mics", flag="--i"
    )
    coordinates: Path | None = option(
        "a picking job's folder, its autopick.star, or its coords_suffix_autopick.star",
        None,
        group="I/O",
        input="coordinates",
        joboption="coords_suffix",
        flag="--coord_dir --coord_suffix / --coord_list",
    )
    reextract: Path | None = option(
        "particles STAR file of a refinement, to extract the same particles again",
        None,
        group="I/O",
        input="particles",
        joboption=Switched("do_reextract", {"fndata_reextract": ""}),
        flag="--reextract_data_star",
    )
    reset_offsets: bool = option(
        "set the refined offsets to zero",
        False,
        group="I/O",
        joboption="do_reset_offsets",
        flag="--reset_offsets",
        needs="reextract",
    )
    recenter: tuple[float, float, float] | None = option(
        "move the refined offsets into the coordinates, and this point of the reference to the centre of the "
        "boxes; x, y and z from the reference's centre, 0 0 0 for that centre itself",
        None,
        unit="px",
        group="I/O",
        joboption=Switched("do_recenter", {"recenter_x": "0", "recenter_y": "0", "recenter_z": "0"}),
        flag="--recenter --recenter_x --recenter_y --recenter_z",
        needs="reextract",
    )
    reference_pixel_size: float | None = option(
        "pixel size that recenter counts in; that of the refined particles by default",
        None,
        unit="Å",
        above=0,
        group="I/O",
        flag="--ref_angpix",
        needs="recenter",
    )
    keep_micrograph_ctf: bool = option(
        "take the CTF of the micrographs, not that of the refined particles",
        False,
        group="I/O",
        flag="--keep_ctfs_micrographs",
        needs="reextract",
    )
    pixel_size: float | None = option(
        "pixel size of the micrographs, instead of what the STAR file says",
        None,
        unit="Å",
        above=0,
        group="I/O",
        joboption=Switched("do_set_angpix", {"angpix": "1"}),
        flag="--set_angpix",
    )
    min_fom: float | None = option(
        "leave out picks whose figure of merit is this or less",
        None,
        group="I/O",
        joboption=Switched("do_fom_threshold", {"minimum_pick_fom": "0"}),
        flag="--minimum_pick_fom",
        needs="coordinates",
    )
    float16: bool = option(
        "write half precision, which takes half the space (RELION 3 cannot read it)",
        False,
        group="I/O",
        joboption=("", "do_float16"),
        flag="--float16",
    )
    box_size: int = option(
        "side of the box in micrograph pixels, even",
        128,
        unit="px",
        group="extract",
        joboption="extract_size",
        flag="--extract_size",
    )
    rescale: int | None = option(
        "side of the images after rescaling, even",
        None,
        unit="px",
        group="extract",
        joboption=Switched("do_rescale", {"rescale": "128"}),
        flag="--scale",
    )
    invert_contrast: bool = option(
        "make dark particles bright", True, group="extract", joboption="do_invert", flag="--invert_contrast"
    )
    normalise: bool = option(
        "bring the background to mean 0 and standard deviation 1",
        True,
        group="extract",
        joboption="do_norm",
        flag="--norm",
    )
    background_diameter: float = option(
        "diameter of the circle outside which a box is background, in micrograph pixels; "
        "-1 for 75 % of the box",
        -1.0,
        unit="px",
        group="extract",
        joboption="bg_diameter",
        flag="--bg_radius",
        needs="normalise",
    )
    white_dust: float = option(
        "replace pixels so many standard deviations above the background by noise; -1 for none",
        -1.0,
        unit="stddev",
        group="extract",
        joboption="white_dust",
        flag="--white_dust",
        needs="normalise",
    )
    black_dust: float = option(
        "replace pixels so many standard deviations below the background by noise; -1 for none",
        -1.0,
        unit="stddev",
        group="extract",
        joboption="black_dust",
        flag="--black_dust",
        needs="normalise",
    )
    ramp: bool = option(
        "subtract a plane fitted to the background",
        True,
        group="extract",
        flag="--no_ramp",
        needs="normalise",
    )
    window: int | None = option(
        "crop the rescaled images to this side", None, unit="px", group="extract", flag="--window"
    )
    phase_flip: bool = option("flip the CTF's phases", False, group="CTF", flag="--phase_flip")
    premultiply_ctf: bool = option("multiply by the CTF", False, group="CTF", flag="--premultiply_ctf")
    ctf_intact_first_peak: bool = option(
        "leave frequencies up to the CTF's first peak alone",
        False,
        group="CTF",
        flag="--ctf_intact_first_peak",
    )
    ctf_box_size: int | None = option(
        "side of the wider box in which the CTF is corrected",
        None,
        unit="px",
        group="CTF",
        flag="--premultiply_extract_size",
    )
    recentre_subpixel: bool = option(
        "centre boxes on the exact coordinate, not on the pixel it lies in (RELION cannot)",
        False,
        group="extract",
    )
    edge: str = option(
        "boxes that reach beyond the micrograph repeat its edge; flag marks them in a column "
        "boxwoodTouchesEdge, drop leaves them out (RELION: replicate)",
        "replicate",
        choices=("replicate", "flag", "drop"),
        group="extract",
    )
    seed: int = option("seed of the noise that replaces dust", 1, at_least=0, group="extract")
    backend: str = backend_option("extract")
    helix: bool | None = option(
        "extract helical segments",
        None,
        group="Helix",
        joboption="do_extract_helix",
        unset="No",
        flag="--helix",
        refused="helical segments are not extracted by this job; leave it out",
    )

    def validate(self) -> None:
        if (self.coordinates is None) == (self.reextract is None):
            raise InputError("please give either coordinates (of picks) or reextract (refined particles)")
        if self.reextract is None and (self.recenter or self.reset_offsets or self.keep_micrograph_ctf):
            raise InputError("recenter, reset_offsets and keep_micrograph_ctf need reextract; give that, too")
        if self.reset_offsets and self.recenter:
            raise InputError("reset_offsets and recenter exclude each other; give one of them")
        if self.phase_flip and self.premultiply_ctf:
            raise InputError("phase_flip and premultiply_ctf exclude each other; give one of them")
        check_box("box_size", self.box_size)
        if self.ctf_box_size is not None and check_box("ctf_box_size", self.ctf_box_size) < self.box_size:
            raise InputError(
                f"ctf_box_size is {self.ctf_box_size} px, less than box_size, {self.box_size} px"
            )
        if self.window is not None and check_box("window", self.window) > self.rescaled:
            raise InputError(f"window is {self.window} px, more than the rescaled box, {self.rescaled} px")
        if self.normalise:
            background_radius(self.background_diameter, self.box_size, self.rescaled, self.image_size)

    @property
    def rescaled(self) -> int:
        """Side of the box after rescaling; an odd one is made even."""
        return rescaled_size(self.box_size, self.rescale)

    @property
    def image_size(self) -> int:
        """Side of the images."""
        return self.window or self.rescaled
