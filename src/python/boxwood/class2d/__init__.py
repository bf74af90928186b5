"""2D classification by maximum likelihood in polar Fourier coordinates; method in docs/class2d.md."""

from boxwood.class2d.assignments import Assignments
from boxwood.class2d.classification import Classification
from boxwood.class2d.groups import Groups
from boxwood.class2d.grow import grow, set_back
from boxwood.class2d.iterate import classify2d
from boxwood.class2d.model import Model
from boxwood.class2d.optics import OpticsGroup
from boxwood.class2d.parameters import Class2DParameters
from boxwood.class2d.result import IterationResult

__all__ = [
    "Assignments",
    "Class2DParameters",
    "Classification",
    "Groups",
    "IterationResult",
    "Model",
    "OpticsGroup",
    "classify2d",
    "grow",
    "set_back",
]
