"""Where a running job's messages go: a terminal, a file, a machine, or nowhere."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import IO, Any, Protocol

from boxwood.execution.worker import tell


class Reporter(Protocol):
    """Receives what happens. Kinds: start, log, warning, error, trace, progress, bad, result, end."""

    def event(self, kind: str, **data: Any) -> None:
        """Take one event; `text` is what it says in words, where it says anything."""


class Silent:
    """Says nothing."""

    def event(self, kind: str, **data: Any) -> None:
        pass


class OfWorker:
    """Sends warnings from a worker to the log of its job, and nothing else."""

    def event(self, kind: str, **data: Any) -> None:
        if kind == "warning":
            tell(data["text"])


class JsonLines:
    """One JSON object a line, for machines."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self.stream = stream or sys.stdout

    def event(self, kind: str, **data: Any) -> None:
        print(
            json.dumps({"event": kind, "time": time.time(), **data}, default=str),
            file=self.stream,
            flush=True,
        )


class PlainLines:
    """Lines of text for files and pipes; progress at most every `every` seconds, and at the end.

    Warnings and errors go to `errors`, and with `traces` also where in the code they came from.
    """

    def __init__(
        self,
        stream: IO[str] | None = None,
        errors: IO[str] | None = None,
        *,
        every: float = 10.0,
        traces: bool = False,
    ) -> None:
        self.stream = stream or sys.stdout
        self.errors = errors or sys.stderr
        self.every = every
        self.traces = traces
        self._last = time.monotonic()

    def event(self, kind: str, **data: Any) -> None:
        if kind == "progress":
            now = time.monotonic()
            if now - self._last < self.every and data["done"] < data["total"]:
                return
            self._last = now
        line = data["text"] if kind == "trace" and self.traces else line_of(kind, data)
        if line:
            stream = self.errors if kind in ("warning", "error", "bad", "trace") else self.stream
            print(line, file=stream, flush=True)


class Terminal:
    """A rich progress bar, with messages above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(highlight=False)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console, transient=True)
        self.tasks: dict[str, Any] = {}

    def event(self, kind: str, **data: Any) -> None:
        if kind == "progress":
            self._progress(**data)
            return
        if kind in ("result", "end"):
            self.bar.stop()
            self.tasks.clear()
        line = line_of(kind, data)
        if line:
            style = {"warning": "yellow", "bad": "yellow", "error": "red"}.get(kind)
            self.console.print(line, style=style, markup=False, soft_wrap=True)

    def _progress(self, done: float, total: float, text: str) -> None:
        if text not in self.tasks:
            for task in self.tasks.values():
                self.bar.remove_task(task)
            self.bar.start()
            self.tasks = {text: self.bar.add_task(text, total=total)}
        self.bar.update(self.tasks[text], completed=done, total=total)


class Tee:
    """Passes everything to several reporters, one event after another, whatever thread it comes from."""

    def __init__(self, *reporters: Reporter) -> None:
        self.reporters = reporters
        self._lock = threading.Lock()

    def event(self, kind: str, **data: Any) -> None:
        with self._lock:
            for reporter in self.reporters:
                reporter.event(kind, **data)


def line_of(kind: str, data: dict[str, Any]) -> str:
    """Return one event as a line of text; empty if there is nothing to say."""
    if kind == "progress":
        return f"{data['text']}: {data['done']:g} of {data['total']:g}"
    if kind == "bad":
        return f"left out {data['name']}: {data['reason']}"
    if kind in ("warning", "error"):
        return f"{kind}: {data['text']}"
    if kind == "trace":
        return ""
    if kind == "result" and data["files"]:
        made = ", ".join(str(path) for path in data["files"].values())
        return f"{data['text']}\nwrote {made}".lstrip()
    return str(data.get("text", ""))
