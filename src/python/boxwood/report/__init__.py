"""Pictures of results, and a page that shows them. Arrays in, PNG and HTML files out."""

from boxwood.report.class_selection import draw_class_selection
from boxwood.report.convergence import Convergence, draw_class_shares, draw_convergence, effective_number
from boxwood.report.page import JobEntry, Picture, Section, write_report
from boxwood.report.picks import draw_fom_histogram, draw_picks
from boxwood.report.sheet import draw_class_averages, draw_particles, draw_sheet

__all__ = [
    "Convergence",
    "JobEntry",
    "Picture",
    "Section",
    "draw_class_averages",
    "draw_class_selection",
    "draw_class_shares",
    "draw_convergence",
    "draw_fom_histogram",
    "draw_particles",
    "draw_picks",
    "draw_sheet",
    "effective_number",
    "write_report",
]
