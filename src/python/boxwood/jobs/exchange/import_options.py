"""Options of import: files of other programs, and what is to be known about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boxwood.io.exchange.detect import FORMATS
from boxwood.jobs.exchange.frame_options import FrameOptions
from boxwood.options import Options, option
from boxwood.options.kinds import Kind

CONTENTS = ("coordinates", "particles", "class-averages")


class _InputFiles:
    """RELION's form has one name, often a pattern; a job with several keeps them in its own settings."""

    names = ("fn_in_other",)

    def write(self, value: tuple[Path, ...], kind: Kind) -> dict[str, str]:
        return {self.names[0]: " ".join(map(str, value))}

    def read(self, form: Mapping[str, str]) -> list[str] | None:
        name = form.get(self.names[0], "")
        return [name] if name else None


class _NodeType:
    """What RELION's form calls the kinds of contents."""

    names = ("node_type",)
    words: Mapping[str, str] = {
        "coordinates": "Particle coordinates (*.box, *_pick.star)",
        "particles": "Particles STAR file (.star)",
        "class-averages": "2D references (.star or .mrcs)",
    }

    def write(self, value: str | None, kind: Kind) -> dict[str, str]:
        return {self.names[0]: self.words[value or "coordinates"]}

    def read(self, form: Mapping[str, str]) -> str | None:
        # "Coordinates" is what the form says if nobody chose.
        said = form.get(self.names[0])
        return next((word for word in CONTENTS[1:] if self.words[word] == said), None)


@dataclass(frozen=True, kw_only=True)
class _Files(Options):
    """Options that come first in the list."""

    files: tuple[Path, ...] = option(
        "files of the other program, folders of them, or patterns such as 'picks/*.box'",
        group="I/O",
        joboption=_InputFiles(),
        flag="--i",
    )
    micrographs: Path | None = option(
        "micrographs STAR file: those that the coordinates are on; for particles it gives them the project's "
        "names of micrographs",
        None,
        group="I/O",
        input="micrographs",
    )
    format: str | None = option(
        "what wrote the files, if it is not to be found out from their contents",
        None,
        choices=FORMATS,
        group="I/O",
    )
    content: str | None = option(
        "what to make of them; by default particles where there are images of them",
        None,
        choices=CONTENTS,
        group="I/O",
        joboption=_NodeType(),
    )
    passthrough: tuple[Path, ...] = option(
        "cryoSPARC's *_passthrough_*.cs files with the other fields of the same particles",
        (),
        group="I/O",
    )
    root: Path | None = option(
        "folder that names inside the files start from; without it the folders above the file are tried",
        None,
        group="I/O",
        metavar="FOLDER",
    )
    stack: Path | None = option(
        "stack with the images of a cisTEM file that does not name it", None, group="I/O"
    )


@dataclass(frozen=True, kw_only=True)
class ImportOptions(FrameOptions, _Files):
    corner_box: float | None = option(
        "coordinates in text are the corners of boxes of this width, not centres",
        None,
        above=0,
        unit="px",
        group="Columns of text",
    )
    x_column: str | None = option(
        "column of x, by its name or number from 1", None, group="Columns of text", metavar="COLUMN"
    )
    y_column: str | None = option(
        "column of y, by its name or number from 1", None, group="Columns of text", metavar="COLUMN"
    )
    micrograph_column: str | None = option(
        "column of micrographs' names, by its name or number from 1",
        None,
        group="Columns of text",
        metavar="COLUMN",
    )
    score_column: str | None = option(
        "column of scores, by its name or number from 1", None, group="Columns of text", metavar="COLUMN"
    )
    min_score: float | None = option(
        "leave out what has a lower score (Topaz's, crYOLO's confidence, cryoSPARC's NCC)",
        None,
        group="Choice",
    )
    strip_prefix: str | None = option(
        "what the other program put before the micrographs' names", None, group="Names of micrographs"
    )
    strip_suffix: str | None = option(
        "what the other program put after the micrographs' names", None, group="Names of micrographs"
    )
    contrast: str | None = option(
        "contrast of the particles' images: dark ones are inverted; measured if not given",
        None,
        choices=("bright", "dark"),
        group="Particles",
    )
