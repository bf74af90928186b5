"""Pictures of results, and a page that shows them. Arrays in, PNG and HTML files out.

Names are imported when they are first used: matplotlib takes a second to import, and not all need it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxwood.report.class_averages import draw_class_averages
    from boxwood.report.class_selection import draw_class_selection
    from boxwood.report.convergence import draw_convergence
    from boxwood.report.page import JobEntry, Picture, Section, write_report
    from boxwood.report.particles import draw_particles
    from boxwood.report.picks import draw_pick_statistics, draw_picks, preview
    from boxwood.report.sheet import draw_sheet

__all__ = [
    "JobEntry",
    "Picture",
    "Section",
    "draw_class_averages",
    "draw_class_selection",
    "draw_convergence",
    "draw_particles",
    "draw_pick_statistics",
    "draw_picks",
    "draw_sheet",
    "preview",
    "write_report",
]

_WHERE = {
    "JobEntry": "page",
    "Picture": "page",
    "Section": "page",
    "draw_class_averages": "class_averages",
    "draw_class_selection": "class_selection",
    "draw_convergence": "convergence",
    "draw_particles": "particles",
    "draw_pick_statistics": "picks",
    "draw_picks": "picks",
    "draw_sheet": "sheet",
    "preview": "picks",
    "write_report": "page",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'boxwood.report' has no attribute {name!r}")
    return getattr(import_module(f"boxwood.report.{_WHERE[name]}"), name)
