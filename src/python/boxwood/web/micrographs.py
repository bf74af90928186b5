"""Micrographs as pyramids, kept while they are looked at."""

from __future__ import annotations

from boxwood.io.mrc import read_image, split_image_name
from boxwood.web import images
from boxwood.web.endpoint import MissingError
from boxwood.web.workspace import Workspace


def pyramid_of(workspace: Workspace, name: str) -> tuple[images.Pyramid, str]:
    """Return the pyramid of a micrograph ("a.mrc" or "3@b.mrcs") and a tag that changes with the file."""
    index, file = split_image_name(name)
    path = workspace.read(file)
    try:
        stat = path.stat()
    except FileNotFoundError:
        raise MissingError(
            f"there is no micrograph {file}; was it moved since the STAR file was written?"
        ) from None
    tag = f"{stat.st_mtime_ns:x}-{stat.st_size:x}"

    def make() -> tuple[images.Pyramid, int]:
        image = read_image(path if index is None else f"{index + 1}@{path}")
        pyramid = images.make_pyramid(image.data)
        return pyramid, pyramid.nbytes

    return workspace.pictures.get(("pyramid", str(path), index, tag), make), tag
