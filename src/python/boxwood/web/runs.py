"""Jobs started from the page: processes of their own, which go on when the page and the server end.

What a job says is written to a file in the project's `.boxwood/`, so that a server that is started later
knows how far it is. A job is started from checked options alone, as words of a list that no shell sees.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from boxwood.errors import InputError
from boxwood.jobs.job import Job
from boxwood.options import Options
from boxwood.options.arguments import ArgumentParser, add_arguments, as_command, given_values
from boxwood.project.job_files import is_held

FOLDER = ".boxwood/runs"
_JOB = re.compile(r"\w+/job\d+/")
# What ended longer ago, in seconds, is no news.
_OLD = 7 * 86400


@dataclass
class Run:
    """One command, and what it has said so far.

    Attributes
    ----------
    path : Path
        Its events, a line each.
    command : str
    process : Popen or None
        None if an earlier server started it; whether it is at work then shows by the lock on its events.
    job : str
        Its folder, "AutoPick/job006/", once it is known; "" for what is no job of the project, or several.
    begun : bool
        Whether the work has begun: its options were good.
    progress : dict
        By the job's folder: {"done", "total", "text"}.
    error : str
    lines : list of str
        What is no event: where an unforeseen error came from.
    """

    path: Path
    command: str
    process: subprocess.Popen[bytes] | None = None
    job: str = ""
    begun: bool = False
    text: str = ""
    error: str = ""
    ended: bool = False
    progress: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    _offset: int = 0
    _current: str = ""
    _first: str = ""
    _said_end: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self) -> None:
        """Read what was said since the last time."""
        with self._lock:
            if self.ended:
                return
            exited = self.process.poll() is not None if self.process else not is_held(self.path)
            with self.path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
            whole = content if exited else content[: content.rfind(b"\n") + 1]
            self._offset += len(whole)
            for line in whole.decode(errors="replace").splitlines():
                self._take(line)
            self.ended = exited or (self.process is None and self._said_end)
            if exited and not self.error:
                self.error = self._how_it_died()

    def _how_it_died(self) -> str:
        if self.process is None:
            told = "" if self._said_end else "its program ended without a word"
        else:
            told = f"it ended with code {self.process.returncode}" if self.process.returncode else ""
        return told and ("\n".join(self.lines[-3:]) or told)

    def _take(self, line: str) -> None:
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError):
            if line.strip():
                self.lines.append(line)
            return
        if kind == "command":
            self.command = event["text"]
        elif kind == "start":
            self._current = event["output"]
            self._first = self._first or self._current
            if _JOB.fullmatch(self._current) and not self.begun:
                self.job = self._current
            self.begun = True
        elif kind == "progress":
            self.progress[self._current] = {name: event[name] for name in ("done", "total", "text")}
        elif kind == "end":  # of all, or of one of several jobs
            self._said_end = event["output"] == self._first
        elif kind == "error":
            self.error = event["text"]
        if kind in ("log", "start", "result") and event.get("text"):
            self.text = event["text"]

    def shown(self) -> dict[str, Any]:
        return {
            "id": self.path.stem,
            "command": self.command,
            "job": self.job.rstrip("/"),
            "text": self.text,
            "error": self.error,
            "ended": self.ended,
        }


class Runs:
    """The commands that this server and earlier ones of the project have started."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._runs: dict[str, Run] = {}
        self._lock = threading.Lock()
        for path in sorted((root / FOLDER).glob("*.jsonl")):
            if time.time() - path.stat().st_mtime > _OLD:
                path.unlink()
            else:
                self._runs[path.stem] = Run(path, "")

    def start(self, words: Sequence[str]) -> Run:
        """Start `boxwood` with these words in the project, from `command_words`."""
        folder = self.root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{len(self._runs):04d}.jsonl"
            with path.open("xb") as events:
                said = {"event": "command", "text": " ".join(["boxwood", *words])}
                events.write(json.dumps(said).encode() + b"\n")
                events.flush()
                _hold(events)
                process = subprocess.Popen(
                    [sys.executable, "-m", "boxwood", *words, "--json"],
                    cwd=self.root,
                    stdin=subprocess.DEVNULL,
                    stdout=events,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C ends the server alone
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
            run = self._runs[path.stem] = Run(path, "", process)
        return run

    def wait_for_job(self, run: Run, seconds: float = 30.0) -> None:
        """Wait until a job has begun, and has its folder, or has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            run.update()
            if run.begun or run.ended:
                return
            time.sleep(0.05)

    def all(self) -> list[Run]:
        """All runs, up to date, the newest last."""
        with self._lock:
            runs = list(self._runs.values())
        for run in runs:
            run.update()
        return runs

    def get(self, name: str) -> Run:
        with self._lock:
            if name not in self._runs:
                raise InputError(f"there is no run {name}")
            return self._runs[name]

    def summary(self) -> list[dict[str, Any]]:
        """Runs that are no job of the project: of several jobs, or ended before there was one."""
        return [run.shown() for run in self.all() if not run.job]

    def forget(self, name: str) -> None:
        """Take an ended run off the list."""
        run = self.get(name)
        run.update()
        if run.process is not None and not run.ended:
            raise InputError("it has not ended; stop it first")
        with self._lock:
            del self._runs[name]
        run.path.unlink(missing_ok=True)

    def stop(self, name: str) -> None:
        """Ask a command that this server started to stop; its files stay whole."""
        run = self.get(name)
        if run.process is None:
            raise InputError("it was started by an earlier server; stop its jobs one by one")
        run.process.terminate()

    def progress(self, job: str) -> dict[str, Any] | None:
        """How far a job is ("AutoPick/job006/"), if it was started from here."""
        for run in reversed(self.all()):
            if job in run.progress:
                return run.progress[job]
        return None


def _hold(events: BinaryIO) -> None:
    """Lock a file until the last process that has it open, as its output, has ended in whatever way."""
    with suppress(OSError):  # a file system without locks
        fcntl.flock(events, fcntl.LOCK_EX)


def command_words(job: Job, options: Options, names: Collection[str], extra: Sequence[str] = ()) -> list[str]:
    """Return the words that make `boxwood` run this job with these of its options.

    They are read back as the command line reads them, so that no value can pass for another option.

    Raises
    ------
    InputError
        If a value looks like an option.
    """
    words = as_command(options, names)
    parser = ArgumentParser(prog=f"boxwood {job.name}", add_help=False)
    add_arguments(parser, job.options)
    declared = {option.name: option for option in job.options.declared()}
    try:
        texts = given_values(parser.parse_args(words), job.options)
        same = {name: declared[name].check(text) for name, text in texts.items()} == {
            name: getattr(options, name) for name in names
        }
    except InputError:
        same = False
    if not same:
        raise InputError("a value that begins with a dash looks like an option; give it another form")
    return [job.name, *words, *extra]
