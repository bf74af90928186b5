"""`live.star`: what became of every micrograph that was seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "live.star"
# What can be said of a micrograph. WAITING is not whole yet or has its turn to come; LISTED is not there.
DONE, WAITING, LISTED, VANISHED, DUPLICATE, BAD = (
    "done",
    "waiting",
    "listed",
    "vanished",
    "duplicate",
    "bad",
)
_LABELS = {
    "name": "rlnMicrographName",
    "state": "bwLiveState",
    "particles": "rlnGroupNrParticles",
    "reason": "bwReason",
    "arrived": "bwTimeArrived",
    "extracted": "bwTimeExtracted",
    "classified": "bwTimeClassified",
    "stamp": "bwFileStamp",
    "digest": "bwFileDigest",
}


@dataclass
class Entry:
    """One micrograph.

    Attributes
    ----------
    name : str
    state : str
    particles : int
    reason : str
        Why it was not used, or is not yet; in a sentence without its full stop.
    arrived, extracted, classified : float
        Seconds since 1970: when its file was last written, its particles cut out, and all of them given a
        class; 0 if that is to come.
    stamp : str
        Size and age of the file that the state is about.
    digest : str
        Of its contents, once they were used.
    """

    name: str
    state: str = LISTED
    particles: int = 0
    reason: str = ""
    arrived: float = 0.0
    extracted: float = 0.0
    classified: float = 0.0
    stamp: str = ""
    digest: str = ""


class Ledger:
    """All entries by name, in the order in which they were seen, and the folder that names start from."""

    def __init__(self, entries: Mapping[str, Entry] | None = None, root: str = "") -> None:
        self.entries: dict[str, Entry] = dict(entries or {})
        self.root = root  # not known yet
        self.by_digest = {e.digest: e.name for e in self.with_state(DONE, WAITING) if e.digest}

    def of(self, name: str) -> Entry:
        """The entry of a micrograph; a new one is made."""
        return self.entries.setdefault(name, Entry(name))

    def with_state(self, *states: str) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry.state in states]

    def settle(self, entry: Entry, state: str, reason: str = "") -> None:
        """Say what became of a micrograph."""
        entry.state, entry.reason = state, reason

    @classmethod
    def read(cls, path: Path) -> Ledger:
        """Read it; empty where there is none."""
        from boxwood.io.star import read_star

        if not path.exists():
            return cls()
        tables = read_star(path)
        table, general = tables.get("live_micrographs"), tables["live_general"]
        root = str(general["bwRoot"].iloc[0]) if "bwRoot" in general else ""
        rows = table.to_dict("records") if isinstance(table, pd.DataFrame) else [table] if table else []
        return cls({entry.name: entry for entry in map(_entry, rows)}, "" if root == "None" else root)

    def write(self, path: Path, general: Mapping[str, Any], *, dialect: str) -> None:
        """Write it, whole or not at all, with a table of numbers about the job as a whole."""
        from boxwood.io.star import write_star

        rows = [asdict(entry) for entry in self.entries.values()]
        columns = {label: [row[name] for row in rows] for name, label in _LABELS.items()}
        table = pd.DataFrame(columns)
        for label in ("bwReason", "bwFileStamp", "bwFileDigest"):
            table[label] = table[label].replace("", "None")
        numbers = pd.DataFrame([{**general, "bwRoot": self.root or "None"}])
        write_star(path, {"live_general": numbers, "live_micrographs": table}, dialect=dialect)


def _entry(row: Mapping[Any, Any]) -> Entry:
    values: dict[str, Any] = {}
    for f in fields(Entry):
        kind = {"int": int, "float": float}.get(str(f.type), str)
        value = row[_LABELS[f.name]]
        values[f.name] = "" if kind is str and value == "None" else kind(value)
    return Entry(**values)
