"""Options of manual picking: what is picked on, and how the page and RELION show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boxwood.options import Options, option
from boxwood.options.kinds import Kind

FOM = "rlnAutopickFigureOfMerit"


class _Colour:
    """RELION asks whether to colour, and by which label; each version has a label of its own at first."""

    names = ("do_color", "color_label")

    def write(self, value: str | None, kind: Kind) -> dict[str, str]:
        return {"do_color": "No"} if value is None else {"do_color": "Yes", "color_label": value}

    def read(self, form: Mapping[str, str]) -> str | None:
        return form.get("color_label", FOM) if form.get("do_color") == "Yes" else None


@dataclass(frozen=True, kw_only=True)
class ManualPickOptions(Options):
    micrographs: Path = option(
        "micrographs STAR file", group="I/O", input="micrographs", joboption="fn_in", flag="--i"
    )
    coordinates: Path | None = option(
        "where the particles are: a picking job, its list of coordinate files, or a folder of files "
        "named like the micrographs (.star, EMAN's .box, crYOLO's .cbox, or text with x and y); without it "
        "there are none yet",
        None,
        group="I/O",
        metavar="FOLDER",
    )
    diameter: float = option(
        "circles around the particles, which are only shown",
        100.0,
        unit="Å",
        above=0,
        group="Display",
        joboption="diameter",
        flag="--particle_diameter",
    )
    scale: float | None = option(
        "show micrographs at first on this fraction of their pixels; the page fits them to its window if "
        "it is not given",
        None,
        above=0,
        group="Display",
        joboption="micscale",
        unset="0.2",
        flag="--scale",
    )
    sigma_contrast: float = option(
        "black and white are so many standard deviations from the mean; 0 shows the whole range",
        3.0,
        at_least=0,
        group="Display",
        joboption="sigma_contrast",
        flag="--sigma_contrast",
    )
    white: float = option(
        "grey value of white, instead of the above if it is not the one of black",
        0.0,
        group="Display",
        joboption="white_val",
        flag="--white",
    )
    black: float = option("grey value of black", 0.0, group="Display", joboption="black_val", flag="--black")
    low_pass: float = option(
        "leave out detail finer than this; -1 for none",
        20.0,
        unit="Å",
        group="Display",
        joboption="lowpass",
        flag="--lowpass",
    )
    high_pass: float = option(
        "leave out what changes more slowly than this; -1 for none",
        -1.0,
        unit="Å",
        group="Display",
        joboption="highpass",
        flag="--highpass",
    )
    pixel_size: float | None = option(
        "pixel size of the micrographs, where the STAR file does not tell it",
        None,
        unit="Å",
        above=0,
        group="Display",
        joboption="angpix",
        flag="--angpix",
    )
    color: str | None = option(
        "colour the circles by this label of the coordinates, such as rlnAutopickFigureOfMerit",
        None,
        group="Colors",
        joboption=_Colour(),
        flag="--color_label",
    )
    color_star: Path | None = option(
        "STAR file of particles that has the label, if the coordinates do not",
        None,
        group="Colors",
        joboption="fn_color",
        flag="--color_star",
    )
    blue: float = option(
        "value of the label that is blue", 0.0, group="Colors", joboption="blue_value", flag="--blue"
    )
    red: float = option(
        "value of the label that is red", 2.0, group="Colors", joboption="red_value", flag="--red"
    )
