"""The filled form of a job: job.star, and RELION 3.0's run.job."""

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
from boxwood.project.form_labels import LABELS, RUNNING

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
    labels = {label.strip(): name for name, label in {**RUNNING, **LABELS[number]}.items()}
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
    if number not in LABELS:
        raise InputError(f"{path} is of job type {kind}, which boxwood does not run; run it in RELION")
    return number


def write_job_star(
    folder: Path,
    *,
    generation: int,
    number: int,
    label: str,
    joboptions: Mapping[str, str],
    continuing: bool,
) -> None:
    """Write job.star, from which RELION's form is filled."""
    kind: dict[str, Any] = {"rlnJobType": number} if generation == 3 else {"rlnJobTypeLabel": label}
    kind["rlnJobIsContinue"] = int(continuing)
    if generation == 5:
        kind["rlnJobIsTomo"] = 0
    names = sorted(joboptions)
    values = pd.DataFrame(
        {"rlnJobOptionVariable": names, "rlnJobOptionValue": [joboptions[name] for name in names]},
        dtype=object,
    )
    tables = {"job": kind, "joboptions_values": values}
    write_star(folder / JOB_STAR, tables, dialect="5" if generation == 5 else "3.1")


def write_run_job(folder: Path, *, number: int, joboptions: Mapping[str, str], continuing: bool) -> None:
    """Write run.job, from which RELION 3.0's form is filled; it knows fields by their labels."""
    labels = {**RUNNING, **LABELS[number]}
    lines = [f"job_type == {number}", f"is_continue == {str(continuing).lower()}"]
    lines += [f"{labels[name]} == {joboptions[name]}" for name in sorted(joboptions) if name in labels]
    write_text(folder / RUN_JOB, "\n".join(lines) + "\n")
