"""Which micrographs have come and are whole."""

from __future__ import annotations

import glob
import math
import numbers
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from boxwood.errors import BoxwoodError, FileFormatError
from boxwood.jobs.extract_tables import columns, joined
from boxwood.jobs.live.ledger import BAD, DONE, DUPLICATE, LISTED, VANISHED, WAITING, Entry, Ledger

if TYPE_CHECKING:
    from boxwood.io.particles import MicrographSet
    from boxwood.jobs.live.clock import Clock


class Listing(Protocol):
    """Where micrographs are named."""

    @property
    def source(self) -> str:
        """The STAR file, or the pattern."""
        ...

    def now(self) -> MicrographSet | None:
        """All that are named now; None if there is none, or nothing new can be read at the moment."""
        ...


@dataclass
class Folder:
    """Files that fit a pattern; they have one optics group, and no CTF.

    `pixel_size` None becomes that of the first header.
    """

    source: str
    pixel_size: float | None
    optics: dict[str, float]

    def now(self) -> MicrographSet | None:
        from boxwood.io.mrc import read_stack
        from boxwood.io.particles import MicrographSet

        names = [n for n in sorted(glob.glob(self.source, recursive=True)) if not os.path.isdir(n)]
        if not names:
            return None
        for name in names:
            if self.pixel_size is None:
                try:
                    self.pixel_size = read_stack(name).pixel_size_angstrom
                except (BoxwoodError, OSError):
                    continue
        if self.pixel_size is None:
            return None
        group = {
            "rlnOpticsGroupName": "opticsGroup1",
            "rlnOpticsGroup": 1,
            "rlnMicrographPixelSize": self.pixel_size,
        }
        table = pd.DataFrame({"rlnMicrographName": names, "rlnOpticsGroup": 1})
        return MicrographSet(pd.DataFrame([group | self.optics]), table, self.source)


@dataclass
class GrowingStar:
    """A STAR file that is written again and again: read when it is whole, or not at all.

    It may change more often than it is looked at, so it need not settle. What is cut off between two lines
    has fewer rows, and those before are known already.
    """

    path: Path
    settle_s: float
    clock: Clock
    warn: Callable[[str], None]
    _read: str = ""
    _failed: tuple[str, float] = ("", math.inf)

    @property
    def source(self) -> str:
        return str(self.path)

    def now(self) -> MicrographSet | None:
        from boxwood.io.particles import MicrographSet
        from boxwood.io.star import ends_too_soon

        before = stamp_of(self.path)
        if before in ("", self._read):
            return None
        try:
            if ends_too_soon(self.path):
                raise FileFormatError("its last line has no end")
            found = MicrographSet.read(self.path)
        except (BoxwoodError, OSError, ValueError) as error:
            self._complain(before, error)
            return None
        if stamp_of(self.path) != before:
            return None
        self._read = before
        return found

    def _complain(self, stamp: str, error: Exception) -> None:
        """Warn once of a file that cannot be read and is not being written."""
        now = self.clock.now()
        if self._failed[0] != stamp:
            self._failed = stamp, now
        elif now - self._failed[1] >= self.settle_s:
            self._failed = stamp, math.inf
            self.warn(f"{self.path} cannot be read, and is tried again when it changes: {one_line(error)}")


@dataclass
class Arrivals:
    """Follows the files that a listing names until they are whole; `ready` are those whose turn has come.

    A file is whole if its header promises no more than is there, and size and age have not changed for
    `settle_s`. Micrographs keep the optics group they were first seen with.
    """

    listing: Listing
    ledger: Ledger
    settle_s: float
    clock: Clock
    warn: Callable[[str], None]
    output_of: Callable[[str], str]
    optics: pd.DataFrame = field(default_factory=pd.DataFrame)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    root: Path = Path()
    last_news: float = 0.0
    _has_root: bool = False
    _since: dict[str, tuple[str, float]] = field(default_factory=dict)
    _outputs: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.last_news = self.clock.now()
        for entry in self.ledger.with_state(WAITING):
            if entry.digest:  # its turn had come, and some of its files may be there
                self._outputs[self.output_of(entry.name)] = entry.name

    def adopt(self, used: MicrographSet) -> None:
        """Micrographs that an earlier run of the job has used, whether their files are still there or not."""
        self.add(used)
        if isinstance(self.listing, Folder):  # which file would be the first to be seen now is another matter
            self.listing.pixel_size = self.pixel_sizes()[1]
        self._find_root()
        for name in self.names:
            entry = self.ledger.of(name)
            self._outputs[self.output_of(name)] = name
            if entry.state != DONE:  # it was stopped before it could say so
                self.ledger.settle(entry, DONE)
                entry.stamp, entry.digest = "", ""
            stamp = stamp_of(self.file_of(name))
            if stamp and not entry.stamp:
                entry.stamp, entry.arrived = stamp, written(stamp)
                entry.digest = digest_of(self.file_of(name))
            if entry.digest:
                self.ledger.by_digest[entry.digest] = name

    @property
    def names(self) -> list[str]:
        """All micrographs that were listed at any time."""
        return [str(name) for name in self.table.index]

    def look(self) -> list[str]:
        """Names of micrographs that are ready, in the order in which their files were finished."""
        found = self.listing.now()
        if found is not None:
            self.add(found)
        self._find_root()
        stamps = {name: stamp_of(self.file_of(name)) for name in self.names}
        order = sorted(stamps, key=lambda name: (written(stamps[name]), name))  # of twins the older is taken
        return [name for name in order if self._is_ready(self.ledger.of(name), stamps[name])]

    def set_of(self, names: list[str]) -> MicrographSet:
        """Rows and optics of some micrographs."""
        from boxwood.io.particles import MicrographSet

        table = self.table.loc[names].reset_index(drop=True)
        return MicrographSet(self.optics, table, str(self.root / "micrographs.star"))

    def pixel_sizes(self) -> dict[int, float]:
        """Pixel size in Angstrom of every optics group."""
        from boxwood.io.particles import MicrographSet

        return MicrographSet(self.optics, self.optics[["rlnOpticsGroup"]]).pixel_size_of_groups()

    def file_of(self, name: str) -> Path:
        return self.root / name

    def add(self, found: MicrographSet) -> None:
        """Take up what is listed and was not known yet."""
        names = found.table["rlnMicrographName"].astype(str)
        rows = found.table[~names.isin(self.table.index) & ~names.duplicated()]
        numbers = {
            int(group["rlnOpticsGroup"]): self._number_of(group, found)
            for _, group in found.optics.iterrows()
        }
        if len(rows):
            rows = rows.assign(rlnOpticsGroup=rows["rlnOpticsGroup"].map(numbers))
            table = joined([columns(self.table), columns(rows)])
            self.table = table.set_index(table["rlnMicrographName"].astype(str).rename(None))
            self.last_news = self.clock.now()

    def _find_root(self) -> None:
        """The folder that names start from: once it is known, also to a run before this, it stays.

        It is the current one, the STAR file's, or one above that: the first in which any micrograph is. Those
        listed first may come last.
        """
        if self._has_root:
            return
        before = [Path(self.ledger.root)] if self.ledger.root else []
        for folder in (*before, Path(), *Path(os.path.abspath(self.listing.source)).parents):
            if any((folder / name).is_file() for name in self.names):
                self.root, self.ledger.root, self._has_root = folder, str(folder), True
                return

    def _number_of(self, group: pd.Series, found: MicrographSet) -> int:
        """The number that micrographs of a listed optics group get: another one where theirs is taken."""
        number = int(group["rlnOpticsGroup"])
        known = {int(row["rlnOpticsGroup"]): row for _, row in self.optics.iterrows()}
        if number in known and not _same(known[number], group):
            group = group.drop("rlnOpticsGroupName", errors="ignore")
            for other, row in known.items():
                if _same(row.drop("rlnOpticsGroup"), group.drop("rlnOpticsGroup")):
                    return other
            listed, number = number, max(*known, *found.optics["rlnOpticsGroup"].astype(int)) + 1
            group["rlnOpticsGroup"], group["rlnOpticsGroupName"] = number, f"opticsGroup{number}"
            self.warn(
                f"{found.source} now says something else of optics group {listed} than before; micrographs "
                f"that are new in it get group {number}, those before stay as they were"
            )
        if number not in known:
            self.optics = pd.concat([self.optics, group.to_frame().T.infer_objects()], ignore_index=True)
        return number

    def _is_ready(self, entry: Entry, stamp: str) -> bool:
        now = self.clock.now()
        path = self.file_of(entry.name)
        if not stamp:
            if entry.state in (WAITING, BAD, DUPLICATE):
                self.ledger.settle(entry, VANISHED, "its file went away before it was used")
            elif entry.state == LISTED and not entry.reason:
                entry.reason = "its file is not there"
            return False
        if entry.stamp == stamp and entry.state in (DONE, BAD):
            return False
        if entry.stamp == stamp and entry.state == DUPLICATE:
            return self._is_first(entry)  # that of which it is one may be gone
        if entry.state == DONE:
            self._changed(entry)
            return False
        if self._since.get(entry.name, ("", 0.0))[0] != stamp:
            self._since[entry.name] = stamp, now
            self.last_news = now
        if entry.state != WAITING:
            self.ledger.settle(entry, WAITING, "it is being written")
        if not settled(stamp, *self._since[entry.name], self.settle_s, now):
            return False
        return self._is_whole(entry, path, stamp)

    def _is_whole(self, entry: Entry, path: Path, stamp: str) -> bool:
        """Of a file that does not change: whether it is all there, and another one than those before."""
        from boxwood.io.mrc import read_stack

        try:
            shape, digest = read_stack(path).shape, digest_of(path)
        except (BoxwoodError, OSError) as error:
            if stamp_of(path):  # or it went away just now
                entry.stamp = stamp
                self.ledger.settle(entry, BAD, one_line(error))
            return False
        if stamp_of(path) != stamp:
            return False
        entry.stamp, entry.digest = stamp, digest
        entry.arrived = written(stamp)
        if shape[0] != 1:
            self.ledger.settle(entry, BAD, f"it holds {shape[0]} images where one is expected")
            return False
        return self._is_first(entry)

    def _is_first(self, entry: Entry) -> bool:
        """Whether no other micrograph that is used, or has its turn to come, has its name or its contents."""
        output, digest, name = self.output_of(entry.name), entry.digest, entry.name
        other = self.ledger.of(self._outputs.get(output, name))
        twin = self.ledger.of(self.ledger.by_digest.get(digest, name))
        if other is not entry and other.state in (DONE, WAITING):
            self.ledger.settle(entry, DUPLICATE, f"{other.name} has the same name")
        elif twin is not entry and twin.state in (DONE, WAITING) and twin.digest == digest:
            self.ledger.settle(entry, DUPLICATE, f"{twin.name} has the same contents")
        else:
            self._outputs[output] = self.ledger.by_digest[digest] = name
            self.ledger.settle(entry, WAITING, "it has its turn to come")
            return True
        return False

    def _changed(self, entry: Entry) -> None:
        """Once it was used, a micrograph is not used again."""
        text = "its file has changed since it was used"
        if entry.reason != text:
            entry.reason = text
            self.warn(f"{entry.name}: {text}; what was picked before stays")


def stamp_of(path: Path) -> str:
    """Age and size of a file; empty if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return ""
    return f"{stat.st_mtime_ns}-{stat.st_size}"


def digest_of(path: Path) -> str:
    """Size and checksum of a file, of a large one by samples."""
    from boxwood.io.checksums import checksum

    return "-".join(str(value) for value in checksum(path, sampled=True).values())


def written(stamp: str) -> float:
    """When a file was last written, in seconds since 1970."""
    return float(stamp.partition("-")[0] or 0) / 1e9


def settled(now_stamp: str, stamp: str, since: float, settle_s: float, now: float) -> bool:
    """Whether a file has been as it is for long: since it was first seen so, or since it was written."""
    return now_stamp == stamp and now - min(since, written(stamp)) >= settle_s


def one_line(error: BaseException) -> str:
    """What an error says, as one value of a STAR file can hold it."""
    text = "".join(c if c.isprintable() else " " for c in str(error)).replace('"', "'")
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def _same(one: pd.Series, other: pd.Series) -> bool:
    """Whether two rows of optics groups agree where both say something; STAR files have six digits."""

    def alike(a: object, b: object) -> bool:
        if isinstance(a, numbers.Real) and isinstance(b, numbers.Real):
            return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-5)
        return bool(a == b)

    return all(alike(one[label], other[label]) for label in one.index.intersection(other.index))
