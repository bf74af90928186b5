"""Where the particles of a micrograph are: coordinate files, and the lists that name them.

What is read: ``.star`` (any table with ``rlnCoordinateX`` and ``rlnCoordinateY``), EMAN's ``.box`` and
crYOLO's ``.cbox`` (corner and size, turned into centres), and text (``.txt .coord .pick``) with columns of x
and y.
Coordinates are pixels of the micrograph, from 0, y along the rows of the file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from boxwood.errors import FileFormatError, InputError
from boxwood.io.atomic import write_text
from boxwood.io.exchange.cbox import read_cbox
from boxwood.io.exchange.text import read_box, read_text
from boxwood.io.job_names import without_job
from boxwood.io.particles import MicrographSet
from boxwood.io.star import read_star, read_star_table, write_star

_X, _Y = "rlnCoordinateX", "rlnCoordinateY"
_SUFFIX = re.compile(r"coords_suffix_(.+)\.star")


def coordinate_path(job: str | os.PathLike[str], micrograph: str, pick_name: str) -> Path:
    """Where the job `job` keeps the coordinates of a micrograph: ``job/a/b_autopick.star``."""
    stem = os.path.splitext(without_job(micrograph))[0]
    return Path(job) / f"{stem.lstrip('/')}_{pick_name}.star"


def read_coordinates(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read the coordinates of one micrograph.

    Returns
    -------
    DataFrame
        With ``rlnCoordinateX`` and ``rlnCoordinateY`` (float64, pixels) and whatever else the file has. An
        empty file is a micrograph without particles.

    Raises
    ------
    FileFormatError
    """
    path = Path(path)
    if path.suffix.lower() != ".star":
        return _read_foreign(path)
    tables = read_star(path)
    for table in tables.values():
        if isinstance(table, pd.DataFrame) and _X in table and _Y in table:
            return table
    if tables:
        raise FileFormatError(f"{path} has no table with _{_X} and _{_Y}; give a file with coordinates.")
    return pd.DataFrame({_X: pd.Series(dtype="float64"), _Y: pd.Series(dtype="float64")})


def count_coordinates(path: str | os.PathLike[str]) -> int:
    """Count the coordinates of one micrograph; much quicker than to read them.

    Raises
    ------
    FileFormatError
    """
    content = Path(path).read_bytes()
    plain = content.count(b"loop_") == 1 and f"_{_X}".encode() in content and b'"' not in content
    if not content.strip() or not plain:
        return len(read_coordinates(path))
    rows = content[content.rindex(b"\n_") + 1 :].splitlines()[1:]
    return sum(1 for row in rows if row.strip() and not row.startswith(b"#"))


def _read_foreign(path: Path) -> pd.DataFrame:
    """Boxes of EMAN and crYOLO, and plain columns of x and y."""
    readers = {".box": read_box, ".cbox": read_cbox}
    if path.suffix.lower() in readers:
        return readers[path.suffix.lower()](path).table
    picks = read_text(path)
    if len(picks) != 1:
        raise FileFormatError(f"{path} is of {len(picks)} micrographs; bring it in with `boxwood import`.")
    return picks[0].table


def write_coordinates(path: str | os.PathLike[str], table: pd.DataFrame, *, dialect: str = "3.1") -> None:
    """Write the coordinates of one micrograph; without rows the file is empty, as RELION's is."""
    write_star(path, {"": table}, dialect=dialect)


def write_coordinate_list(
    path: str | os.PathLike[str], files: Mapping[str, str | os.PathLike[str]], *, dialect: str = "5"
) -> None:
    """Write ``autopick.star`` or ``manualpick.star`` of RELION 4 and 5.

    Parameters
    ----------
    path : path
    files : mapping of micrograph name to coordinate file
        Both as they are seen from the project's folder.
    """
    table = pd.DataFrame(
        {
            "rlnMicrographName": list(files),
            "rlnMicrographCoordinates": [os.fspath(file) for file in files.values()],
        }
    )
    write_star(path, {"coordinate_files": table}, dialect=dialect)


def write_coords_suffix(
    job: str | os.PathLike[str], pick_name: str, micrographs: str | os.PathLike[str]
) -> Path:
    """Write ``coords_suffix_PICKNAME.star`` of RELION 3: one line that names the micrographs' STAR file."""
    path = Path(job) / f"coords_suffix_{pick_name}.star"
    write_text(path, f"{os.fspath(micrographs)}\n")
    return path


def coordinate_files(
    source: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] = "",
    micrographs: Iterable[str] | None = None,
) -> dict[str, Path]:
    """Find the coordinate file of every micrograph.

    Parameters
    ----------
    source : path
        A picking job's folder, a list such as ``autopick.star`` (RELION 4 and 5), or
        ``coords_suffix_autopick.star`` (RELION 3).
    root : path
        The project's folder, from which the names inside the files start. Coordinate files beside the
        list itself are found wherever it was moved.
    micrographs : iterable of str
        Names to look for in a RELION 3 job; by default those of the STAR file it names.

    Returns
    -------
    dict of micrograph name to path
        Only micrographs that have a file.

    Raises
    ------
    FileFormatError, InputError
    """
    path = _list_in(Path(source)) if Path(source).is_dir() else Path(source)
    suffix = _SUFFIX.fullmatch(path.name)
    if suffix:
        names = _suffix_micrographs(path, Path(root)) if micrographs is None else micrographs
        found = {name: coordinate_path(path.parent, name, suffix[1]) for name in names}
        return {name: file for name, file in found.items() if file.is_file()}
    table = read_star_table(path, "coordinate_files")
    if not isinstance(table, pd.DataFrame):
        table = pd.DataFrame([table])
    if "rlnMicrographName" not in table or "rlnMicrographCoordinates" not in table:
        raise FileFormatError(
            f"{path} table data_coordinate_files lacks _rlnMicrographName or _rlnMicrographCoordinates; "
            "give the list that a picking job wrote."
        )
    pairs = zip(table["rlnMicrographName"], table["rlnMicrographCoordinates"], strict=True)
    found = {}
    for name, file in pairs:
        for place in (Path(root) / file, path.parent / without_job(file)):
            if place.is_file():
                found[name] = place
                break
    return found


def _list_in(job: Path) -> Path:
    """The list of coordinate files in a job's folder; RELION 4's and 5's before RELION 3's."""
    lists = [job / f"{name}.star" for name in ("autopick", "manualpick", "extractpick", "coordinates")]
    lists += sorted(job.glob("coords_suffix_*.star"))
    for path in lists:
        if path.is_file():
            return path
    raise InputError(
        f"{job} has no autopick.star, manualpick.star, coordinates.star or coords_suffix_*.star; give a "
        "picking job's folder."
    )


def _suffix_micrographs(path: Path, root: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    if not lines[0].strip():
        raise FileFormatError(f"{path} is empty, expected one line with the micrographs' STAR file.")
    name = lines[0].strip()
    places = [folder / name for folder in (root, *Path(os.path.abspath(path)).parents)]
    micrographs = next((place for place in places if place.is_file()), None)
    if micrographs is None:
        raise FileFormatError(f"{path} names {name[:200]}, which is not there; run in the project's folder.")
    return MicrographSet.read(micrographs).table["rlnMicrographName"].tolist()
