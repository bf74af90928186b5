"""Servers of the page, forked from a process that has imported what they need: most of their start."""

import multiprocessing
import os
import re
import sys
from multiprocessing.connection import Connection
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_LATE = ["boxwood.class2d.selection", "boxwood.jobs.saved_iteration", "scipy.spatial"]  # when asked for


class Server:
    """`boxwood ui` of a project; `link` logs in to it."""

    def __init__(self, project: Path, *words: str) -> None:
        from boxwood.web.app import MODULES

        routes = [f"boxwood.web.routes.{name}" for name in MODULES]
        _FORKS.set_forkserver_preload(["boxwood.cli", "boxwood.web.serve", *routes, *_LATE])
        reading, writing = _FORKS.Pipe(duplex=False)
        self.process = _FORKS.Process(target=_serve, args=(writing, ["ui", str(project), *words]))
        self.process.start()
        writing.close()
        self.said = os.fdopen(os.dup(reading.fileno()))  # open until it ends: it says more than the link
        reading.close()
        links = (re.search(r"http://\S+", line) for line in self.said)
        self.link = next(filter(None, links))[0]

    def end(self) -> None:
        self.process.terminate()
        self.process.join(300)
        self.process.close()  # an error if it still runs
        self.said.close()


def _serve(output: Connection, words: list[str]) -> None:
    from boxwood.cli import main

    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # for jobs
    os.dup2(output.fileno(), 1)
    output.close()
    sys.exit(main(words))
