"""Figures without global state: every one is its own object, drawn by Agg and written whole or not at all."""

import os
from pathlib import Path
from typing import Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from boxwood.io.atomic import atomic_write

DPI = 110
ACCENT = "#1f6f8b"
SECOND = "#c8553d"
GREY = "#6b7280"
# Colours of figures of merit, from weak (red) to strong (green), both of which stand out on grey.
FOM_COLOURS = matplotlib.colormaps["RdYlGn"]


def new_figure(
    width_inches: float, height_inches: float, layout: Literal["constrained"] | None = "constrained"
) -> Figure:
    """Return a figure whose axes are laid out without overlap, or, with None, as they are told."""
    return Figure(figsize=(width_inches, height_inches), layout=layout)


def plain_axes(axes: Axes) -> Axes:
    """Give axes of a curve the look of this report: no box, a faint grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=8)
    return axes


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a PNG; folders are made. Noise does not shrink by more effort than the least."""
    with atomic_write(path) as file:
        figure.savefig(file, dpi=DPI, format="png", pil_kwargs={"compress_level": 1})
    return Path(path)
