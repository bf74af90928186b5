"""What a running job sees of the world around it."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

from boxwood.errors import BoxwoodError, InputError, JobAborted, JobError
from boxwood.execution import Done, Executor, Failure, Threads
from boxwood.io.atomic import writing
from boxwood.jobs.reporter import OfWorker, Reporter, Silent
from boxwood.project.job_files import ABORT_NOW
from boxwood.project.names import below_job

if TYPE_CHECKING:
    from boxwood.backends import Backend
    from boxwood.backends.select import Work
    from boxwood.jobs.job import JobResult

# Files that one warning names.
_NAMED = 5
Item = TypeVar("Item")
Result = TypeVar("Result")


def announce(items: Iterable[Item], reads: Callable[[Item], Path | None]) -> Iterator[Item]:
    """Items, each of whose files is read ahead when it is taken."""
    from boxwood.io.readahead import read_ahead

    for item in items:
        path = reads(item)
        if path is not None:
            read_ahead(path)
        yield item


def first_of(names: Sequence[str]) -> str:
    """Some of many names, for a message of one line."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def described(backend: str) -> str:
    """A backend's name in words."""
    if backend == "cpu":
        from boxwood.backends import cpu_status

        return f"the CPU ({cpu_status()['chosen'][0]})"
    return backend


def remove(files: Iterable[Path]) -> str:
    """Delete files that have become meaningless, where there is no trash."""
    for file in files:
        file.unlink()
    return "are removed"


class JobContext:
    """Folder, threads, messages and bookkeeping of one running job.

    Attributes
    ----------
    output : Path
        The job's folder, relative to the current folder if it is inside: `output / "particles.star"`.
        In STAR files use `name` instead.
    threads : int
    dialect : str
        "3.1" or "5": the dialect of the STAR files to write.
    continuing : bool
        True if the job goes on with its own earlier files.
    interrupted : bool
        True if the run that it goes on from did not come to its end.
    continue_from : Path or None
        The file to go on from, for jobs that go on from one.
    put_away : callable
        Gets files of the job out of the way, and returns where they are now ("are in Trash/").
    given : frozenset of str
        Options that were given now; the others have their defaults, or what the continued job had.
    output_given : bool
        True if the user named the folder, with `--output`.
    executor : Executor
        Does pieces of work; `map` is made of it.
    bad_inputs : list of (name, reason)
    used : set of Path
        Files that were read besides those that the options name.
    """

    def __init__(
        self,
        output: str | os.PathLike[str],
        *,
        threads: int = 1,
        dialect: str = "3.1",
        continuing: bool = False,
        interrupted: bool = False,
        continue_from: Path | None = None,
        put_away: Callable[[Iterable[Path]], str] | None = None,
        given: frozenset[str] = frozenset(),
        output_given: bool = False,
        reporter: Reporter | None = None,
        executor: Executor | None = None,
    ) -> None:
        self.output = Path(output)
        self.executor: Executor = executor or Threads(threads)
        self.threads = threads
        self.dialect = dialect
        self.continuing = continuing
        self.interrupted = interrupted
        self.continue_from = continue_from
        self.put_away = put_away or remove
        self.given = given
        self.output_given = output_given
        self.reporter: Reporter = reporter or Silent()
        self.bad_inputs: list[tuple[str, str]] = []
        self.outputs: list[tuple[str, str]] = []
        self.inputs: list[tuple[str, str]] = []
        self.used: set[Path] = set()
        self._backends: list[tuple[str, Backend]] = []
        self._sources: dict[PurePath, str] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        """Stop what `map` still has under way; whole files are left behind."""
        self._stack.close()

    def __getstate__(self) -> dict[str, Any]:
        """What a worker needs, for `map`: where files go, and not whom to tell what."""
        here = ("executor", "reporter", "put_away", "_stack", "_backends")
        return {name: value for name, value in vars(self).items() if name not in here}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.executor, self.reporter, self.put_away = Threads(self.threads), OfWorker(), remove
        self._stack, self._backends = ExitStack(), []

    @property
    def name(self) -> str:
        """The job's folder as STAR files name it, with its final slash: "Extract/job007/"."""
        return self.output.as_posix().rstrip("/") + "/"

    def output_path(self, source: str | os.PathLike[str], suffix: str) -> Path:
        """Return the path of a file made from `source`, below this job's folder, which is created.

        "MotionCorr/job002/Micrographs/a.mrc" with suffix "_autopick.star" gives
        "AutoPick/job006/Micrographs/a_autopick.star".

        Raises
        ------
        InputError
            If another source would be written to the same file.
        """
        relative = below_job(source)
        path = self.output / relative.with_name(relative.stem + suffix)
        other = self._reserved(source)
        if other != str(source):
            raise InputError(f"{source} and {other} would both be written to {path}; rename one of them")
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def reserve(self, sources: Iterable[str | os.PathLike[str]]) -> None:
        """Settle, in this order, which sources get the `output_path` that several would have.

        For jobs that ask for it in the threads of `map`: the first of a list wins, not the fastest.
        """
        for source in sources:
            self._reserved(source)

    def give_up(self, source: str | os.PathLike[str]) -> None:
        """Let another source have the `output_path` that this one had."""
        self._sources.pop(below_job(source).with_suffix(""), None)

    def _reserved(self, source: str | os.PathLike[str]) -> str:
        """The source to which the output of this one's name belongs."""
        return self._sources.setdefault(below_job(source).with_suffix(""), str(source))

    def backend(self, name: str, work: Work = "expectation") -> Backend:
        """The kernels called so (`boxwood.backends.get_backend`), which the log and the run's record name."""
        from boxwood.backends import get_backend

        chosen = get_backend(name, self.warn, work)
        self._backends.append((chosen.name, chosen))
        self.log(f"kernels run on {described(chosen.name)}")
        return chosen

    @property
    def backends(self) -> list[str]:
        """Where kernels have run, in this order; devices that were lost have left a shorter name behind."""
        names = (name for first, chosen in self._backends for name in (first, chosen.name))
        return list(dict.fromkeys(names))

    def log(self, text: str) -> None:
        """Tell the user one line."""
        self.reporter.event("log", text=text)

    def warn(self, text: str) -> None:
        """Tell the user one line that should not be overlooked."""
        self.reporter.event("warning", text=text)

    def progress(self, done: float, total: float, text: str = "") -> None:
        """Say how far the work is; also the place where an abort is noticed."""
        self.reporter.event("progress", done=done, total=total, text=text)
        self.check_abort()

    @property
    def abort_file(self) -> Path:
        """Whoever makes this file asks the job to stop."""
        return self.output / ABORT_NOW

    def check_abort(self) -> None:
        """Raise JobAborted if somebody made the abort file."""
        if self.abort_file.exists():
            raise JobAborted(f"{ABORT_NOW} was found in {self.name}")

    def bad(self, name: str, reason: str) -> None:
        """Note an input that cannot be used and is left out; all are named again at the end."""
        before, said, after = reason.partition(f"{name} ")
        alone = not before or before.endswith("/")
        if said and alone and not after.startswith("and "):  # its name need not be said twice
            reason = f"it {after}"
        self.bad_inputs.append((str(name), reason))
        self.reporter.event("bad", name=str(name), reason=reason)

    def add_output(self, path: str | os.PathLike[str], kind: str) -> None:
        """Register a file as an output node, where the job does not declare beforehand what it `makes`.

        Kinds are those of `boxwood.project.nodes.NODE_KINDS`.
        """
        self.outputs.append((Path(path).as_posix(), kind))

    def add_input(self, path: str | os.PathLike[str], kind: str) -> None:
        """Register a file as an input node, beside the options declared with ``input=``."""
        self.inputs.append((Path(path).as_posix(), kind))

    def use(self, files: Iterable[Path]) -> None:
        """Note files that are read besides those that the options name; `map` notes those it is told of."""
        files = set(files) - self.used
        self.used.update(files)
        self.warn_of_cut(files)

    def warn_of_cut(self, files: Iterable[Path]) -> None:
        """Say which STAR files end in the middle of a line."""
        from boxwood.io.star import ends_too_soon

        stars = sorted(path for path in files if path.suffix == ".star" and path.is_file())
        if cut := [path.as_posix() for path in stars if ends_too_soon(path)]:
            text = "the last line has no end, so the file may have been cut off; compare it with the original"
            self.warn(f"{first_of(cut)}: {text}")

    def map(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        what: str = "item",
        *,
        reads: Callable[[Item], Path | None] | None = None,
        anywhere: bool = False,
    ) -> Iterator[Done[Item, Result]]:
        """Yield items and results in order, `threads` at once, with progress and abort.

        An item whose function raises is noted as bad and left out. If all of them fail, so does the job, and
        at once where it is not the item's fault (`JobError`: a full disk).
        `reads` tells the file that an item is in, if it is needed; it is read from disk while items before it
        are worked on.
        `anywhere` says that the function can be pickled, with its context, and leaves nothing behind but
        files and its result: then the workers of a cluster do it, if there is one.

        Raises
        ------
        JobAborted, JobError
        """
        items = items if isinstance(items, Sized) else list(items)
        executor = self.executor if anywhere else Threads(self.threads)
        total, failed, first = len(items), 0, ""
        announced: Iterable[Item] = items
        if reads is not None:
            self.use(path for path in map(reads, items) if path is not None)
            if executor.local:
                announced = announce(items, reads)
        work = self._stack.enter_context(closing(executor.map(function, announced)))
        for number, done in enumerate(work, 1):
            if isinstance(done.result, Failure):
                if isinstance(done.result.error, JobAborted | JobError):
                    raise done.result.error  # no fault of the item
                failed += 1
                reason = self._reason(done.result.error)
                first = first or reason
                self.bad(str(done.item), reason)
            else:
                yield Done(done.item, done.result)
            self.progress(number, total, f"{what}s")
        if total and failed == total:
            raise JobError(f"none of the {total} {what}s could be used; the first because: {first}")

    def run(
        self, name: str, *, continue_from: str | bool = False, folder: Path | None = None, **options: Any
    ) -> JobResult:
        """Run another job, or go on with one, for jobs that are made of jobs.

        It goes to `folder`, if that is given, or with `--output` to a folder of its name below it; else it
        becomes a job of the project.
        """
        from boxwood.jobs.registry import load_job
        from boxwood.jobs.runner import run_job

        output = folder or (self.output / name if self.output_given else None)
        return run_job(
            load_job(name),
            options,
            output=output,
            threads=self.threads,
            reporter=self.reporter,
            executor=self.executor,
            continue_from=continue_from,
        )

    @contextmanager
    def picture(self, name: str) -> Iterator[None]:
        """Run a block that draws; whatever goes wrong in it is a warning, never an error of the job."""
        try:
            yield
        except Exception as error:
            self.warn(f"the picture {name} was not drawn: {self._reason(error)}")

    def _reason(self, error: Exception) -> str:
        if isinstance(error, BoxwoodError | OSError):
            return str(error)
        # Not foreseen, so whoever mends it needs to know where it was.
        self.reporter.event("trace", text="".join(traceback.format_exception(error)))
        return f"{type(error).__name__}: {error}"
