"""Particle extraction: arrays in, arrays out."""

from boxwood.extraction.centres import box_centres, overlaps, touches_edge
from boxwood.extraction.ctf_correction import CtfCorrection
from boxwood.extraction.extract import ExtractedParticles, Fault, extract_particles
from boxwood.extraction.recentre import recentred_coordinates
from boxwood.extraction.sizes import background_radius, check_box, rescaled_size

__all__ = [
    "CtfCorrection",
    "ExtractedParticles",
    "Fault",
    "background_radius",
    "box_centres",
    "check_box",
    "extract_particles",
    "overlaps",
    "recentred_coordinates",
    "rescaled_size",
    "touches_edge",
]
