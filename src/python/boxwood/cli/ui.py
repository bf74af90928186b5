"""`boxwood ui`: the browser page of a project."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from boxwood.errors import InputError
from boxwood.options.arguments import ArgumentParser

_DESCRIPTION = """\
Serve a page that shows a project and does what needs eyes and a mouse. Only browsers of this computer can
reach it, and only with the link that is printed; from elsewhere it works through ssh -L."""


def ui(words: Sequence[str]) -> int:
    """Run `boxwood ui` with these words."""
    parser = ArgumentParser(prog="boxwood ui", description=_DESCRIPTION)
    parser.add_argument("project", nargs="?", type=Path, default=Path(), metavar="PROJECT",
                        help="folder of the project (default: the current one)")  # fmt: skip
    parser.add_argument("--port", type=int, default=0, metavar="N", help="default: one that is free")
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="DIR",
                        help="a folder elsewhere that may be read, because links of the project lead there; "
                        "may be given several times")  # fmt: skip
    given = parser.parse_args(words)
    if not 0 <= given.port < 65536:
        raise InputError(f"--port is {given.port}; it must be below 65536")
    for module in ("starlette", "uvicorn"):
        if find_spec(module) is None:
            raise InputError(f"the page needs {module}, which is missing; run: pip install 'boxwood[ui]'")
    from boxwood.web.serve import serve

    serve(given.project, given.port, given.data)
    return 0
