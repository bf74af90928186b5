"""Picking that learns the particles of a data set; the method is in docs/picking.md."""

from boxwood.picking.adaptive.calibration import Calibration
from boxwood.picking.adaptive.harmonics import Component
from boxwood.picking.adaptive.learn import LARGEST_RATE, learn_model
from boxwood.picking.adaptive.model import AdaptiveModel
from boxwood.picking.adaptive.pick import AdaptivePicks, ScoreMap, pick_adaptive, score_micrograph

__all__ = [
    "LARGEST_RATE",
    "AdaptiveModel",
    "AdaptivePicks",
    "Calibration",
    "Component",
    "ScoreMap",
    "learn_model",
    "pick_adaptive",
    "score_micrograph",
]
