"""The compiled CPU kernels, for the instruction set chosen at import."""

import os

from boxwood import _core
from boxwood.errors import InputError

name = "cpu"

_wanted = os.environ.get("BOXWOOD_SIMD")
if _wanted and not _core.use_simd(_wanted):
    raise InputError(
        f"BOXWOOD_SIMD={_wanted} is not available: compiled are {_core.compiled_simd()}, "
        f"this processor runs {_core.runnable_simd()}; choose one of the latter or unset the variable"
    )

ctf = _core.ctf
expectation = _core.expectation
extract = _core.extract
fourier_crop = _core.fourier_crop
log_pick_maps = _core.log_pick_maps
log_pick_peaks = _core.log_pick_peaks
polar_adjoint = _core.polar_adjoint
polar_transform = _core.polar_transform
steerable = _core.steerable


def image_store(particles: int, samples: int) -> None:
    """None: see `boxwood.backends.protocol.Backend.image_store`."""
