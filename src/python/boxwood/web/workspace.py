"""What the routes share: the project, the pictures kept, and the threads that work."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from boxwood.project.folder import ProjectFolder
from boxwood.web.cache import Cache
from boxwood.web.guard import Keys
from boxwood.web.inside import inside
from boxwood.web.learning import Learnings
from boxwood.web.runs import Runs

# How long a page waits for RELION's lock before it says who has it.
_PATIENCE_SECONDS = 10.0


@dataclass
class Workspace:
    """One project, shown by this process; its folder is the process's current one, as in jobs.

    Attributes
    ----------
    root : Path
        The project's folder, links resolved.
    data : sequence of Path
        Further folders that may be read.
    keys : Keys
    pool : ThreadPoolExecutor
        Where requests are worked on, off the event loop.
    pictures : Cache
        Pyramids of micrographs and other arrays that were computed for pictures.
    learnings : Learnings
        What adaptive picking has learned to be tried.
    runs : Runs
        What was started from the page.
    """

    root: Path
    data: Sequence[Path] = ()
    keys: Keys = field(default_factory=Keys)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, "boxwood-web"))
    pictures: Cache = field(default_factory=Cache)
    learnings: Learnings = field(default_factory=Learnings)
    runs: Runs = field(init=False)

    def __post_init__(self) -> None:
        self.root = Path(os.path.realpath(self.root))
        self.data = tuple(Path(os.path.realpath(folder)) for folder in self.data)
        self.runs = Runs(self.root)

    @property
    def id(self) -> str:
        """Tells the project from others in what a browser keeps: two may be seen at one address in turn."""
        place = os.fsencode(f"{socket.gethostname()}:{self.root}")
        return hashlib.blake2b(place, digest_size=8).hexdigest()

    @property
    def project(self) -> ProjectFolder:
        return ProjectFolder(self.root, _PATIENCE_SECONDS)

    def read(self, name: str | os.PathLike[str]) -> Path:
        """Return the real path of a file that may be read (see `inside`)."""
        return inside(self.root, name, self.data)

    def close(self) -> None:
        """End what threads are at, without waiting for it."""
        self.learnings.close()
        self.pool.shutdown(wait=False, cancel_futures=True)

    def write(self, name: str | os.PathLike[str]) -> Path:
        """Return the real path of a file of the project that may be written."""
        return inside(self.root, name)
