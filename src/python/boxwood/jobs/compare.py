"""Compare the files of a job with those of its repetition."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from boxwood.errors import BoxwoodError
from boxwood.typing import AnyArray

# What says when and where a job ran, and pictures of what is compared already.
_BOOKS = {
    "run.out", "run.err", "run.job", "note.txt", "job.star", "job_pipeline.star", "default_pipeline.star",
    ".boxwood.json",
}  # fmt: skip
_PICTURES = {".png", ".svg", ".pdf", ".html", ".css"}
_TEXT = {".star", ".txt", ".box", ".csv", ".tsv", ".json"}


def results_in(folder: Path) -> set[str]:
    """The names of all files in a job's folder that hold results."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in _BOOKS
        and path.suffix not in _PICTURES
        and not path.name.startswith(("RELION_", ".Nodes", ".relion", ".pipeline"))
    }


def differences(
    before: Path, now: Path, called: tuple[str, str], names: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Yield the name of each file of results that is not the same in both folders, and how it differs.

    STAR files may differ in comments, spaces and quotes, and in the folder's name; all else is compared bit
    by bit.

    Parameters
    ----------
    before, now : Path
        The folders.
    called : (str, str)
        What files in them call them.
    names : iterable of str
        The files to compare.
    """
    for name in names:
        if not (now / name).exists():
            yield name, "was not made again"
        elif not (before / name).exists():
            yield name, "was not there before"
        elif how := _difference(before / name, now / name, called):
            yield name, how


def _difference(before: Path, now: Path, folders: tuple[str, str]) -> str:
    if before.suffix in _TEXT:
        return _in_words(*(_words(path, folder) for path, folder in zip((before, now), folders, strict=True)))
    if before.read_bytes() == now.read_bytes():
        return ""
    try:
        return _in_arrays(_arrays(before), _arrays(now))
    except (BoxwoodError, OSError, ValueError) as error:
        return f"differs, and cannot be compared ({error})"


def _words(path: Path, folder: str) -> list[str]:
    """The words of a text file without comments; where it names its own folder, that has no name."""
    own = re.compile(r"(?<![^\s@\"'])" + re.escape(folder.rstrip(os.sep) + os.sep))
    text = own.sub("", path.read_text(encoding="utf-8", errors="replace"))
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return [word.strip("\"'") for line in lines for word in line.split()]


def _in_words(before: list[str], now: list[str]) -> str:
    if before == now:
        return ""
    if len(before) != len(now):
        return f"has {len(now)} words, not {len(before)}"
    pairs = [(a, b) for a, b in zip(before, now, strict=True) if a != b]
    text = f"{len(pairs)} of {len(before)} words differ, the first {pairs[0][1]}, not {pairs[0][0]}"
    try:
        a, b = np.array(pairs, dtype=np.float64).T
    except ValueError:
        return text
    return f"{text}; numbers by at most {np.abs(a - b).max():.3g}"


def _arrays(path: Path) -> dict[str, AnyArray]:
    from boxwood.io.mrc import read_stack

    if path.suffix in (".mrc", ".mrcs"):
        return {"images": read_stack(path)[:]}
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    if path.suffix == ".cs":
        return {"rows": np.load(path, allow_pickle=False)}
    return {"bytes": np.fromfile(path, np.uint8)}


def _in_arrays(before: dict[str, AnyArray], now: dict[str, AnyArray]) -> str:
    """The arrays that differ; the bytes around them may."""
    texts = [f"it has {', '.join(now)}, not {', '.join(before)}"] if list(before) != list(now) else []
    for name in before.keys() & now.keys():
        a, b = before[name], now[name]
        if a.shape != b.shape or a.dtype != b.dtype:
            texts.append(f"{name} is {b.dtype} {b.shape}, not {a.dtype} {a.shape}")
        elif a.tobytes() != b.tobytes():
            far = ""
            if a.dtype.kind in "fiu":
                with np.errstate(invalid="ignore"):
                    far = f" by at most {np.nanmax(np.abs(a.astype(np.float64) - b)):.3g}"
            texts.append(f"{name}: {np.count_nonzero(a != b)} of {a.size} values differ{far}")
    return "; ".join(texts)
