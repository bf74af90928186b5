"""The kernels in plain float64 NumPy: slow, readable, and what every other backend is tested against."""

from boxwood.backends.reference.ctf import ctf

__all__ = ["ctf"]

name = "reference"
