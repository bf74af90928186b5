"""Options, declared once.

A job's options are the fields of a frozen dataclass; the Python call, the command line, the RELION job
file and the reference documentation are all made from that one declaration:

>>> from dataclasses import dataclass
>>> from pathlib import Path
>>> from boxwood.options import Options, option
>>> @dataclass(frozen=True, kw_only=True)
... class BlurOptions(Options):
...     micrographs: Path = option("micrographs STAR file", group="I/O", input="micrographs",
...                                joboption="fn_in", flag="--i")
...     width: float = option("width of the blur", 20.0, unit="Å", above=0, joboption="lowpass")
...     normalise: bool = option("normalise afterwards", True, joboption="do_norm")
>>> BlurOptions(micrographs="mics.star", width=10)
BlurOptions(micrographs=PosixPath('mics.star'), width=10.0, normalise=True)
>>> BlurOptions(micrographs="mics.star", width=-1)
Traceback (most recent call last):
boxwood.errors.InputError: width is -1; it must be a number above 0 Å
"""

from boxwood.options.declare import Option, Options, applies, option

__all__ = ["Option", "Options", "applies", "option"]
