"""Pictures of results, and a page that shows them. Arrays in, PNG and HTML files out."""

from boxwood.report.class_selection import draw_class_selection
from boxwood.report.classification import draw_class_averages, draw_convergence
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
