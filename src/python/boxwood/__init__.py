"""boxwood: from cryo-EM micrographs to 2D class averages and picking templates.

Arrays in, arrays out: `pick_log`, `extract_particles`, `classify2d`, and `simulate_micrograph` and
`simulate_particles` to try them on. Files in, files out, with the books of a
RELION project kept: `Project`. Pictures of what they made, in notebooks: `show`. Names are imported when they
are first used, so that importing the package costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boxwood.class2d import Class2DParameters, classify2d
    from boxwood.extraction import extract_particles
    from boxwood.jobs.api import Project
    from boxwood.picking import pick_log
    from boxwood.simulate import simulate_micrograph, simulate_particles
    from boxwood.web.notebook import show

__all__ = [
    "Class2DParameters",
    "Project",
    "__version__",
    "classify2d",
    "errors",
    "extract_particles",
    "pick_log",
    "show",
    "simulate",
    "simulate_micrograph",
    "simulate_particles",
]

_WHERE = {
    "Class2DParameters": "boxwood.class2d",
    "Project": "boxwood.jobs.api",
    "classify2d": "boxwood.class2d",
    "extract_particles": "boxwood.extraction",
    "pick_log": "boxwood.picking",
    "show": "boxwood.web.notebook",
    "simulate_micrograph": "boxwood.simulate",
    "simulate_particles": "boxwood.simulate",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
    elif name in ("errors", "simulate"):
        return import_module(f"boxwood.{name}")
    else:
        raise AttributeError(f"module 'boxwood' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("boxwood")
    except PackageNotFoundError:  # a source tree on PYTHONPATH
        from boxwood._core import __version__

        return str(__version__)
