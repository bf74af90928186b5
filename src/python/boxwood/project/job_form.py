"""The filled form of a job: job.star, RELION 3.0's run.job, and what RELION's window was last told."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from boxwood.errors import FileFormatError, InputError
from boxwood.io.atomic import write_text
from boxwood.io.star import read_star, write_star
from boxwood.project.form_fields import FORMS, MACHINE, filled_form, form_fields

JOB_STAR, RUN_JOB = "job.star", "run.job"
# RELION 4 and 5 say "relion.autopick.log" for what was number 4.
_NUMBERS = {"import": 0, "manualpick": 3, "autopick": 4, "extract": 5, "select": 7, "class2d": 8}


@dataclass(frozen=True)
class JobForm:
    """A form as RELION keeps it.

    Attributes
    ----------
    path : Path
    number : int
        RELION 3's number of the job type: Import 0, ManualPick 3, AutoPick 4, Extract 5, Select 7, Class2D 8.
    continuing : bool
    joboptions : dict
        Texts by name: {"log_diam_min": "150", "do_invert": "Yes", ...}.
    """

    path: Path
    number: int
    continuing: bool
    joboptions: dict[str, str]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> JobForm:
        """Read a job.star, a run.job, a .gui_*job.star, or that of a job folder.

        Raises
        ------
        InputError
            If there is no such file, or the job is of a kind that boxwood does not run.
        FileFormatError
        """
        path = Path(path)
        if path.is_dir():
            found = [path / name for name in (JOB_STAR, RUN_JOB) if (path / name).exists()]
            if not found:
                raise InputError(f"{path} has neither {JOB_STAR} nor {RUN_JOB}, so there is nothing to run")
            path = found[0]
        if not path.exists():
            raise InputError(f"there is no {path}; give the {JOB_STAR} of a job, or the folder it is in")
        return _from_text(path) if path.name.endswith("run.job") else _from_star(path)


def _from_star(path: Path) -> JobForm:
    tables = read_star(path)
    job, values = tables.get("job"), tables.get("joboptions_values")
    if not isinstance(job, dict) or not isinstance(values, pd.DataFrame):
        raise FileFormatError(f"{path} has no tables data_job and data_joboptions_values: it is no job.star")
    names, texts = values["rlnJobOptionVariable"], values["rlnJobOptionValue"]
    form = {str(name): str(text) for name, text in zip(names, texts, strict=True)}
    kind = job.get("rlnJobType", job.get("rlnJobTypeLabel", ""))
    return JobForm(path, _number(path, kind), bool(int(job.get("rlnJobIsContinue", 0))), form)


def _from_text(path: Path) -> JobForm:
    lines = path.read_text(encoding="utf-8").splitlines()
    said = dict(part for line in lines if len(part := line.split(" == ", 1)) == 2 or _empty(part, line))
    if "job_type" not in said:
        raise FileFormatError(f"{path} does not say its job_type: it is no run.job")
    number = _number(path, said["job_type"])
    labels = {field.label.strip(): name for name, field in form_fields(number).items() if field.label}
    form = {labels[label.strip()]: text for label, text in said.items() if label.strip() in labels}
    return JobForm(path, number, said.get("is_continue") == "true", form)


def _empty(part: list[str], line: str) -> bool:
    """A field without a value ends with the sign."""
    if line.endswith(" =="):
        part[:] = [line.removesuffix(" =="), ""]
    return len(part) == 2


def _number(path: Path, kind: Any) -> int:
    words = str(kind).split(".")
    number = _NUMBERS.get(words[1] if len(words) > 1 else "", -1)
    if len(words) == 1 and words[0].isdecimal():
        number = int(words[0])
    if number not in FORMS:
        raise InputError(f"{path} is of job type {kind}, which boxwood does not run; run it in RELION")
    return number


@dataclass(frozen=True)
class JobType:
    """RELION's names of a kind of job: folder "AutoPick", number 4, label "relion.autopick.log"."""

    folder: str
    number: int
    label: str


def write_forms(
    root: Path, name: str, kind: JobType, joboptions: Mapping[str, str], *, relion: str, continuing: bool
) -> None:
    """Write the form of a job of the project, and as what RELION's window was last told.

    RELION's window keeps what it was last told about fields that the job says nothing about, and about
    how the work is spread over the machine.

    Parameters
    ----------
    root : Path
        The project.
    name : str
        "AutoPick/job006/".
    kind : JobType
    joboptions : mapping
    relion : str
        See `filled_form`; RELION 4 is "4".
    continuing : bool
    """
    of = "5" if relion == "4" else relion
    form = filled_form(kind.number, of, joboptions)
    window = root / f".gui_{kind.folder.lower()}{RUN_JOB if relion == '0' else JOB_STAR}"
    kept = {f: text for f, text in _last(window).items() if f in MACHINE or f not in joboptions}
    told = filled_form(kind.number, of, {**joboptions, **kept})
    write_job_star(root / name / JOB_STAR, kind, form, relion=relion, continuing=continuing)
    if relion == "0":
        write_run_job(root / name / RUN_JOB, kind.number, form, continuing=continuing)
        write_run_job(window, kind.number, told, continuing=continuing)
    else:
        write_job_star(window, kind, told, relion=relion, continuing=continuing)


def _last(window: Path) -> dict[str, str]:
    """What RELION's window was last told; nothing if it was told nothing that can be read."""
    try:
        return JobForm.read(window).joboptions
    except (InputError, OSError):
        return {}


def write_job_star(
    path: Path, kind: JobType, joboptions: Mapping[str, str], *, relion: str, continuing: bool
) -> None:
    """Write job.star, from which RELION's form is filled."""
    job: dict[str, Any] = {"rlnJobType": kind.number} if relion in "01" else {"rlnJobTypeLabel": kind.label}
    job["rlnJobIsContinue"] = int(continuing)
    if relion == "5":
        job["rlnJobIsTomo"] = 0
    names = sorted(joboptions)
    values = pd.DataFrame(
        {"rlnJobOptionVariable": names, "rlnJobOptionValue": [joboptions[name] for name in names]},
        dtype=object,
    )
    tables = {"job": job, "joboptions_values": values}
    write_star(path, tables, dialect="5" if relion == "5" else "3.1")


def write_run_job(path: Path, number: int, joboptions: Mapping[str, str], *, continuing: bool) -> None:
    """Write run.job, from which RELION 3.0's form is filled; it knows fields by their labels."""
    fields = form_fields(number)
    lines = [f"job_type == {number}", f"is_continue == {str(continuing).lower()}"]
    known = (name for name in sorted(joboptions) if name in fields and fields[name].label)
    lines += [f"{fields[name].label} == {joboptions[name]}" for name in known]
    write_text(path, "\n".join(lines) + "\n")
