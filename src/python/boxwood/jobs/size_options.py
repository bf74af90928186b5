"""Sizes that jobs from micrographs to classes are given, or derive from the diameter (`defaults`)."""

from typing import Any

from boxwood.errors import InputError
from boxwood.options import option


def check_diameters(min_diameter: float | None, max_diameter: float | None) -> None:
    """Refuse diameters (Angstrom) of which the largest is below the smallest, where both are given."""
    if min_diameter is not None and max_diameter is not None and max_diameter < min_diameter:
        raise InputError(
            f"max_diameter is {max_diameter:g} Å, less than min_diameter, which is {min_diameter:g} Å; "
            "exchange them"
        )


def box_size_option() -> Any:
    """The box that is cut out, px."""
    return option(
        "box cut out of the micrographs; 1.25 diameters if not given",
        None,
        unit="px",
        at_least=2,
        group="Extraction",
    )


def rescale_option() -> Any:
    """The box after rescaling, px."""
    return option(
        "box after rescaling; such that a pixel is at most 3.6 Å if not given",
        None,
        unit="px",
        at_least=2,
        group="Extraction",
    )


def background_diameter_option() -> Any:
    """The circle outside which a box is background, px."""
    return option(
        "diameter of the circle outside which a box is background; one diameter if not given",
        None,
        unit="px",
        at_least=1,
        group="Extraction",
    )


def mask_diameter_option() -> Any:
    """The mask of the classification, Angstrom."""
    return option(
        "mask of the classification; 1.1 diameters if not given",
        None,
        unit="Å",
        above=0,
        group="Classification",
    )
