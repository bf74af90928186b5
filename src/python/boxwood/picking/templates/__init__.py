"""Picking with templates: the method is in docs/picking.md."""

from boxwood.picking.templates.prune import TemplatePicks, find_template_peaks
from boxwood.picking.templates.ratio import TemplateMaps, ratio_maps
from boxwood.picking.templates.references import References, prepare_references
from boxwood.picking.templates.turning import Turned

__all__ = [
    "References",
    "TemplateMaps",
    "TemplatePicks",
    "Turned",
    "find_template_peaks",
    "prepare_references",
    "ratio_maps",
]
