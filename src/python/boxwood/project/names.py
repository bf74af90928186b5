"""Names of job folders and of the files in them."""

import os
from pathlib import Path, PurePosixPath

from boxwood.io.job_names import JOB


def job_folder(path: str | os.PathLike[str], root: Path = Path()) -> str | None:
    """Return "AutoPick/job006/" for a path (relative to `root`) in that job, also if named by its alias."""
    parts = _relative_parts(path, root)
    if len(parts) < 2:
        return None
    name = f"{parts[0]}/{parts[1]}/"
    link = root / parts[0] / parts[1]
    if not JOB.fullmatch(name) and link.is_symlink():  # an alias is a link to its job
        name = f"{parts[0]}/{PurePosixPath(os.readlink(link)).name}/"
    return name if JOB.fullmatch(name) else None


def is_called(job: str, text: str) -> bool:
    """Whether "Extract/job002", "job002" or "2" means the job "Extract/job002/"."""
    number = text.rstrip("/").removeprefix("job")
    same = number.isdecimal() and int(number) == int(job.rstrip("/").rpartition("job")[2])
    return same or text.rstrip("/") + "/" == job


def canonical(path: str | os.PathLike[str], root: Path = Path()) -> str:
    """Return `path` relative to `root` where it is inside, with aliases replaced by their jobs."""
    parts = _relative_parts(path, root)
    folder = job_folder(path, root)
    return folder + "/".join(parts[2:]) if folder else str(PurePosixPath(*parts)) if parts else str(path)


def below_job(path: str | os.PathLike[str], root: Path = Path()) -> PurePosixPath:
    """Return the part of a path that RELION repeats below a new job's folder.

    "MotionCorr/job002/Micrographs/a.mrc" gives "Micrographs/a.mrc". A path in no job is repeated whole;
    a leading / and any ".." are left out, so that the result always stays in the new folder.
    """
    parts = _relative_parts(path, root)
    if job_folder(path, root):
        parts = parts[2:]
    return PurePosixPath(*(part for part in parts if part != ".." and not part.startswith("/")))


def _relative_parts(path: str | os.PathLike[str], root: Path) -> tuple[str, ...]:
    pure = PurePosixPath(os.path.normpath(path))
    if pure.is_absolute():
        for base in pure.parents:  # the project may be reached by several names
            if base == PurePosixPath(os.path.abspath(root)) or _same_folder(base, root):
                return pure.relative_to(base).parts
    return pure.parts


def _same_folder(one: PurePosixPath, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
