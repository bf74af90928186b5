"""What has changed, as a stream of events: the project, a job's log and progress, files that a page shows."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from boxwood.project.folder import PIPELINE
from boxwood.web.inside import OutsideError
from boxwood.web.jobs import job_now, progress_of, status_of
from boxwood.web.revisions import revision
from boxwood.web.workspace import Workspace

_EVERY = 0.5
LOGS = ("run.out", "run.err")
_LONGEST_PIECE = 1 << 18
_REDRAWN = re.compile(r"[^\n\r]*\r+(?!\n)")


class Watch:
    """Remembers what a page has been told.

    Parameters
    ----------
    workspace : Workspace
    job : str
        "AutoPick/job001", or empty.
    files : sequence of str
        Names of files of the project.
    after : str
        "120-0": how much of the job's two logs the page has already.
    progress : bool
        Whether the page wants to know how far all jobs are that run.

    Raises
    ------
    OutsideError
        If a file or one of the job's logs leads out of the project.
    """

    def __init__(
        self, workspace: Workspace, job: str, files: Sequence[str], after: str = "", progress: bool = False
    ) -> None:
        self.workspace = workspace
        self.job = job
        if job:
            self._logs()
        self.progress = progress
        self.files = {name: workspace.read(name) for name in files}
        words = after.split("-")
        self.offsets = [int(word) if word.isdecimal() else 0 for word in [*words, "", ""][:2]]
        self.told: dict[str, Any] = {}
        self.stamps: dict[str, tuple[int, int] | None] = {}

    def events(self) -> Iterator[tuple[str, Any]]:
        """What is new since the last time: pairs of a kind and its data.

        The first time that is all: it may have changed since the page was filled, or while it was away.
        """
        if self._is_new("project", self._project()):
            yield "project", {}
        if self.progress and self.told["jobs"]:
            running = {
                job.name.rstrip("/"): progress_of(self.workspace, job.name) for job in self.told["jobs"]
            }
            if self._is_new("progress", running):
                yield "progress", running
        if self.job:
            yield from self._job_events()
        for name, path in self.files.items():
            if self._stamp_is_new(name, path):
                now = revision(path)
                if self._is_new(name, now):
                    yield "file", {"path": name, "revision": now}

    @property
    def position(self) -> str:
        return "-".join(map(str, self.offsets))

    def _project(self) -> Any:
        """The books, and how jobs stand that are at work."""
        books = self.workspace.root / PIPELINE
        if self._stamp_is_new(PIPELINE, books) or self.told.get("jobs") is None:
            jobs = self.workspace.project.pipeline().jobs()
            self.told["jobs"] = [job for job in jobs if job.status == "Running"]
        statuses = [(job.name, status_of(self.workspace.project, job)) for job in self.told["jobs"]]
        return self.stamps[PIPELINE], statuses, self.workspace.runs.summary()

    def _logs(self) -> list[Path]:
        return [self.workspace.read(Path(self.job) / name) for name in LOGS]

    def _job_events(self) -> Iterator[tuple[str, Any]]:
        pieces = {}
        for place, path in enumerate(self._logs()):
            text, self.offsets[place] = piece_of(path, self.offsets[place])
            pieces[LOGS[place].removeprefix("run.")] = text
        now = job_now(self.workspace, self.job)
        if self._is_new("job", now) or any(pieces.values()):
            yield "job", {**now, **pieces}

    def _is_new(self, name: str, value: Any) -> bool:
        new = name not in self.told or self.told[name] != value
        self.told[name] = value
        return new

    def _stamp_is_new(self, name: str, path: Path) -> bool:
        try:
            stat = path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
        except OSError:
            stamp = None
        new = name not in self.stamps or self.stamps[name] != stamp
        self.stamps[name] = stamp
        return new


def piece_of(path: Path, offset: int) -> tuple[str, int]:
    """Read what was added to a log after `offset` bytes: whole lines, and where they end.

    From a log that is much longer, or that has become shorter, its end is taken.
    """
    try:
        size = path.stat().st_size
        if size < offset:
            offset = 0
        start = max(offset, size - _LONGEST_PIECE)
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(size - start)
    except OSError:
        return "", 0
    whole = content[: content.rfind(b"\n") + 1]
    if start > offset:
        whole = whole[whole.find(b"\n") + 1 :]
    # Programs that draw a bar go back to the start of its line; what stands there in the end is enough.
    text = _REDRAWN.sub("", whole.decode(errors="replace"))
    return text, start + len(content[: content.rfind(b"\n") + 1])


async def stream(watch: Watch) -> AsyncIterator[str]:
    """Server-sent events, until the page goes away."""
    yield "retry: 1000\n\n"
    loop = asyncio.get_running_loop()
    while True:
        try:
            found = await loop.run_in_executor(watch.workspace.pool, lambda: list(watch.events()))
        except OutsideError:  # a log has become a link that leads out: the page asks again, and is told
            return
        for kind, data in found:
            yield f"event: {kind}\nid: {watch.position}\ndata: {json.dumps(data)}\n\n"
        if not found:
            yield ": \n\n"  # finds out whether the page is still there
        await asyncio.sleep(_EVERY)
