"""Names for the arrays that cross module borders."""

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex64]
IntArray = npt.NDArray[np.int64]
AnyArray = npt.NDArray[Any]
