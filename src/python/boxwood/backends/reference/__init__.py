"""The kernels in plain float64 NumPy: slow, readable, and what every other backend is tested against."""

from boxwood.backends.reference.ctf import ctf
from boxwood.backends.reference.expectation import expectation
from boxwood.backends.reference.polar import polar_adjoint, polar_transform

__all__ = ["ctf", "expectation", "polar_adjoint", "polar_transform"]

name = "reference"
