"""Picking particles: arrays in, arrays out."""

from boxwood.picking.log import log_fom_maps, pick_log
from boxwood.picking.peaks import FomMaps, Picks, find_peaks

__all__ = ["FomMaps", "Picks", "find_peaks", "log_fom_maps", "pick_log"]
