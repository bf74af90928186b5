"""The flow chart of a project: which job made what for which other one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boxwood.errors import InputError
from boxwood.io.atomic import atomic_write, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# (name, alias, status, inputs, outputs)
ChartJob = tuple[str, str, str, Sequence[str], Sequence[str]]
Arrows = dict[tuple[str, str], list[str]]
_COLOURS = {
    "Succeeded": "#d7eadb",
    "Running": "#fff1c9",
    "Scheduled": "#e8ebf0",
    "Failed": "#f6d5d2",
    "Aborted": "#eadcf0",
}
_INK, _FAINT = "#5b6470", "#3c434d"
# In inches: a box, and from one to the next.
_WIDTH, _HEIGHT, _STEP_X, _STEP_Y = 1.5, 0.42, 2.6, 0.8
_MARGIN = 0.3
_FORMATS = (".svg", ".png", ".pdf", ".mmd")


def write_flow_chart(path: Path, jobs: Sequence[ChartJob]) -> None:
    """Draw jobs as boxes, from top to bottom, with an arrow where one reads what another made.

    The suffix says what is written: .svg, .png, .pdf, or .mmd for the text of a Mermaid chart.

    Raises
    ------
    InputError
        Another suffix.
    """
    if path.suffix not in _FORMATS:
        raise InputError(f"a flow chart cannot be written as {path}; end its name in {', '.join(_FORMATS)}")
    arrows = _arrows(jobs)
    if path.suffix == ".mmd":
        write_text(path, _mermaid(jobs, arrows))
        return
    from matplotlib.figure import Figure

    places = _places(jobs, arrows)
    right = max((x for x, _ in places.values()), default=0) + _WIDTH + 1.2
    bottom = max((y for _, y in places.values()), default=0) + _HEIGHT + _MARGIN
    figure = Figure(figsize=(right + _MARGIN, bottom + _MARGIN))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-_MARGIN, right)
    axes.set_ylim(bottom, -_MARGIN)
    axes.axis("off")
    for (source, target), files in arrows.items():
        _draw_arrow(axes, places[source], places[target], files)
    for name, alias, status, *_ in jobs:
        _draw_job(axes, places[name], name, alias, status)
    with atomic_write(path) as file:
        figure.savefig(file, format=path.suffix.lstrip("."), dpi=160)


def _draw_job(axes: Axes, place: tuple[float, float], name: str, alias: str, status: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = place
    box = FancyBboxPatch(place, _WIDTH, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.07", ec=_INK)
    box.set_facecolor(_COLOURS.get(status, "white"))
    axes.add_patch(box)
    below = alias.rstrip("/").rpartition("/")[2]
    if not below or status != "Succeeded":
        below = f"{below} {status.lower()}".strip()
    middle: dict[str, Any] = {"ha": "center", "va": "center"}
    axes.text(x + _WIDTH / 2, y + 0.15, name.rstrip("/"), fontsize=8, weight="bold", **middle)
    axes.text(x + _WIDTH / 2, y + 0.31, below, fontsize=6.5, color=_FAINT, **middle)


def _draw_arrow(
    axes: Axes, source: tuple[float, float], target: tuple[float, float], files: list[str]
) -> None:
    """Straight down to the row below, around the boxes between to rows farther down, across behind boxes."""
    style: dict[str, Any] = {"arrowstyle": "-|>", "color": _INK, "lw": 0.8, "shrinkA": 0, "shrinkB": 1}
    (x0, y0), (x1, y1) = source, target
    if x0 != x1:
        start = (x0 + _WIDTH * (x1 > x0), y0 + _HEIGHT / 2)
        end = (x1 + _WIDTH * (x1 < x0), y1 + _HEIGHT / 2)
    elif y1 - y0 > 1.5 * _STEP_Y:
        start, end = (x0 + _WIDTH, y0 + _HEIGHT * 0.7), (x1 + _WIDTH, y1 + _HEIGHT * 0.3)
        style["connectionstyle"] = f"arc3,rad={-min(0.5, 0.6 / (end[1] - start[1]))}"
    else:
        start, end = (x0 + _WIDTH / 2, y0 + _HEIGHT), (x1 + _WIDTH / 2, y1)
        names = ", ".join(map(_short, files))
        axes.text(start[0] + 0.06, (start[1] + end[1]) / 2, names, fontsize=5.5, va="center", color=_FAINT)
    axes.annotate("", end, start, arrowprops=style, zorder=0)


def _arrows(jobs: Sequence[ChartJob]) -> Arrows:
    """The files that each job hands to each other."""
    made = {node: name for name, _, _, _, outputs in jobs for node in outputs}
    found: Arrows = {}
    for name, _, _, inputs, _ in jobs:
        for node in inputs:
            if made.get(node, name) != name:
                found.setdefault((made[node], name), []).append(node)
    return found


def _places(jobs: Sequence[ChartJob], arrows: Arrows) -> dict[str, tuple[float, float]]:
    """Corner of each job's box: a row below the last job it reads from, and if free in its column."""
    cells: dict[str, tuple[int, int]] = {}
    for name, *_ in jobs:
        before = [cells[source] for source, target in arrows if target == name and source in cells]
        row = 1 + max((y for _, y in before), default=-1)
        column = min((x for x, y in before if y == row - 1), default=0)
        while (column, row) in cells.values():
            column += 1
        cells[name] = (column, row)
    return {name: (x * _STEP_X, y * _STEP_Y) for name, (x, y) in cells.items()}


def _mermaid(jobs: Sequence[ChartJob], arrows: Arrows) -> str:
    ids = {name: f"job{number}" for number, (name, *_) in enumerate(jobs)}
    lines = ["flowchart TD"]
    for name, alias, status, *_ in jobs:
        title = alias.rstrip("/") or name.rstrip("/")
        lines.append(f'    {ids[name]}["{title}<br/>{status.lower()}"]')
    for (source, target), files in arrows.items():
        lines.append(f'    {ids[source]} -->|"{", ".join(map(_short, files))}"| {ids[target]}')
    return "\n".join(lines) + "\n"


def _short(node: str) -> str:
    return node.rpartition("/")[2]
