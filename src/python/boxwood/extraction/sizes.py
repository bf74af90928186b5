"""Box sizes and the background circle, as RELION counts them."""

from boxwood.errors import InputError


def check_box(name: str, size: int) -> int:
    """Return an even size, or refuse it.

    Raises
    ------
    InputError
    """
    if size < 4 or size % 2 or int(size) != size:
        raise InputError(
            f"{name} is {size} px; it must be an even number of at least 4, e.g. {even_above(size)}"
        )
    return int(size)


def even_above(size: float) -> int:
    """The smallest even number, at least 4, that is not below `size`."""
    return max(4, 2 * -int(-size // 2))


def rescaled_size(box_size: int, rescale: int | None) -> int:
    """Side of the rescaled image: an odd one is made even by adding 1, none is the box itself."""
    if rescale is None:
        return box_size
    return check_box("rescale", int(rescale) + int(rescale) % 2)


def background_radius(diameter_px: float | None, box_size: int, rescaled: int, window: int) -> int:
    """Radius of the background circle in pixels of the output, by RELION's formula.

    Parameters
    ----------
    diameter_px : float or None
        In pixels of the original box; None or a negative number stands for 0.75 of the box.
    box_size, rescaled, window : int
        Sides of the box, after rescaling, and of the output.

    Raises
    ------
    InputError
        If nothing would be left outside the circle.
    """
    diameter = 0.75 * box_size if diameter_px is None or diameter_px < 0 else diameter_px
    radius = int(diameter / 2 * rescaled / box_size)
    if 2 * radius > window:
        largest = window * box_size // rescaled
        raise InputError(
            f"the background circle of {diameter:g} px is wider than the image; "
            f"its diameter can be at most {largest} px here"
        )
    return radius
