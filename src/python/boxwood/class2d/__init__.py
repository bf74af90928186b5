"""2D classification by maximum likelihood in polar Fourier coordinates; method in docs/class2d.md."""

from boxwood.class2d.expectation import Assignments
from boxwood.class2d.iterate import Classification, IterationResult, classify2d
from boxwood.class2d.model import Model
from boxwood.class2d.parameters import Class2DParameters

__all__ = ["Assignments", "Class2DParameters", "Classification", "IterationResult", "Model", "classify2d"]
