"""Picking with templates: the method is in docs/picking.md."""

from boxwood.picking.templates.matched import Learned, MatchedModel, learn_matched, pick_matched
from boxwood.picking.templates.picks import MatchedPicks, TemplatePicks
from boxwood.picking.templates.prune import find_template_peaks
from boxwood.picking.templates.ratio import TemplateMaps, ratio_maps
from boxwood.picking.templates.references import References, prepare_references
from boxwood.picking.templates.turning import Turned

__all__ = [
    "Learned",
    "MatchedModel",
    "MatchedPicks",
    "References",
    "TemplateMaps",
    "TemplatePicks",
    "Turned",
    "find_template_peaks",
    "learn_matched",
    "pick_matched",
    "prepare_references",
    "ratio_maps",
]
