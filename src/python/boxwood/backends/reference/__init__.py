"""The kernels in plain float64 NumPy: slow, readable, and what every other backend is tested against."""

from boxwood.backends.reference.ctf import ctf
from boxwood.backends.reference.expectation import expectation
from boxwood.backends.reference.extract import extract
from boxwood.backends.reference.fourier_crop import fourier_crop
from boxwood.backends.reference.log_pick import log_pick_maps, log_pick_peaks
from boxwood.backends.reference.polar import polar_adjoint, polar_transform
from boxwood.backends.reference.steerable import steerable

__all__ = [
    "ctf",
    "expectation",
    "extract",
    "fourier_crop",
    "image_store",
    "log_pick_maps",
    "log_pick_peaks",
    "polar_adjoint",
    "polar_transform",
    "steerable",
]

name = "reference"


def image_store(particles: int, samples: int) -> None:
    """None: see `boxwood.backends.protocol.Backend.image_store`."""
