"""boxwood: from cryo-EM micrographs to 2D class averages and picking templates."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("boxwood")
except PackageNotFoundError:  # a source tree on PYTHONPATH
    from boxwood._core import __version__

__all__ = ["__version__"]
