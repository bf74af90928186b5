"""The form of a job, made from its declared options, and what was filled in, checked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boxwood.errors import InputError
from boxwood.jobs.job import Job
from boxwood.jobs.registry import JOBS, load_job
from boxwood.options import Option, Options, applies
from boxwood.project.folder import PIPELINE
from boxwood.project.form_fields import FORMS
from boxwood.web.runs import command_words
from boxwood.web.workspace import Workspace

# These make projects; the page is about one that is there.
_NO_FORM = ("demo", "simulate")
_CAPITALS = {"ctf": "CTF", "fom": "FOM", "cc": "CC", "gib": "GiB"}
# Kinds of files that an option takes beside its own.
_ALSO = {"coordinates": ("coordinates_suffix", "coordinates_list", "manual_coordinates_list")}


def startable() -> list[dict[str, str]]:
    """Jobs that have a form: name and what they do."""
    return [{"name": name, "summary": summary} for name, (_, summary) in JOBS.items() if name not in _NO_FORM]


def job_with_form(name: str) -> Job:
    if name in _NO_FORM:
        raise InputError(f"{name} makes a project of its own; run it on the command line: boxwood {name}")
    return load_job(name)


def make_form(workspace: Workspace, job: Job, continuing: bool) -> dict[str, Any]:
    """Return the tabs of a form with their fields, as the tutorial has them; refused options have none."""
    tabs: dict[str, list[dict[str, Any]]] = {}
    for declared in job.options.declared():
        if not declared.refused and (declared.needs != "continue" or continuing):
            tabs.setdefault(declared.group, []).append(_field(workspace, job, declared, continuing))
    return {
        "job": job.name,
        "summary": JOBS[job.name][1],
        "has_alias": job.process is not None,
        "tabs": [{"title": title, "fields": fields} for title, fields in tabs.items()],
    }


def _field(workspace: Workspace, job: Job, declared: Option, continuing: bool) -> dict[str, Any]:
    kind = declared.kind
    return {
        "name": declared.name,
        "label": _label(declared.name),
        "help": declared.help,
        "expected": declared.expected,
        "unit": declared.unit,
        "type": "list" if kind.count is not None else kind.scalar.__name__.lower().replace("posix", ""),
        "lines": kind.count == 0 and kind.scalar not in (int, float),
        "choices": declared.choices,
        "required": declared.required or (declared.begins and not continuing),
        "default": "" if declared.required or declared.default in (None, ()) else shown(declared.default),
        "at_least": declared.at_least,
        "at_most": declared.at_most,
        "above": declared.above,
        "needs": "" if declared.needs == "continue" else declared.needs,
        "flag": declared.argument,
        "relion": _relion_label(job, declared),
        "files": files_for(workspace, declared.input) if declared.input else [],
    }


def _label(name: str) -> str:
    """ "ctf_box_size" as "CTF box size"."""
    words = [_CAPITALS.get(word, word) for word in name.split("_")]
    return words[0][:1].upper() + " ".join(words)[1:]


def shown(value: Any) -> Any:
    """A value as a form shows it: yes and no as they are, all else as text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, list | tuple):
        texts = [str(shown(part)) for part in value]
        return ("\n" if any(isinstance(part, str | Path) for part in value) else " ").join(texts)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _relion_label(job: Job, declared: Option) -> str:
    """What RELION's form calls the option, for those who know that."""
    fields = FORMS.get(job.process if job.process is not None else -1, {})
    names: Any = declared.joboption
    if not isinstance(names, str):
        names = names[0] if isinstance(names, tuple) else next(iter(names.names), "")
    return fields[names].label.strip().rstrip(":") if names in fields else ""


def files_for(workspace: Workspace, kind: str) -> list[str]:
    """Files of the project that fit an option: of jobs, the newest first, then STAR files of no job."""
    project = workspace.project
    pipeline = project.pipeline()
    kinds = (kind, *_ALSO.get(kind, ()))
    wanted = {pipeline.node_type(k) for k in kinds} - {None}
    jobs = pipeline.jobs()
    made = [node for job in reversed(jobs) for node in job.outputs if pipeline.type_of(node) in wanted]
    # RELION 3 has one number for particles that were extracted, selected or classified
    made.sort(key=lambda node: node.startswith("Class2D/"))
    read = [node for job in jobs for node in job.inputs if pipeline.type_of(node) in wanted]
    loose = [path.name for path in sorted(workspace.root.glob("*.star")) if path.name != PIPELINE]
    return list(dict.fromkeys([*made, *read, *(loose if kind in ("micrographs", "particles") else [])]))


@dataclass(frozen=True)
class Filled:
    """A filled form.

    Attributes
    ----------
    job : Job
    options : Options or None
        None if there are errors.
    names : frozenset of str
        Options that the command line has to give.
    errors : dict
        A sentence for each field that is wrong.
    problem : str
        What is wrong with the form as a whole.
    fields : tuple of str
        Options that the problem is about.
    """

    job: Job
    options: Options | None
    names: frozenset[str]
    errors: dict[str, str] = field(default_factory=dict)
    problem: str = ""
    fields: tuple[str, ...] = ()


def read_form(
    workspace: Workspace, job: Job, texts: Mapping[str, Any], earlier: Mapping[str, Any] | None = None
) -> Filled:
    """Check what was filled in; fields that mean nothing because of another one are left out.

    Parameters
    ----------
    texts : mapping
        Texts, and True or False, by option; what is empty or missing has its default.
    earlier : mapping, optional
        The options of the job that is to go on.
    """
    declared = {option.name: option for option in job.options.declared() if not option.refused}
    if unknown := set(texts) - set(declared):
        raise InputError(f"{job.name} has no option {', '.join(sorted(unknown))}")
    values = {name: option.default for name, option in declared.items() if not option.required}
    errors: dict[str, str] = {}
    for name, option in declared.items():
        text = texts.get(name)
        if text is None or text == "" or not applies(option, declared, texts):
            continue
        try:
            values[name] = option.check(_parsed(option, text))
            _check_paths(workspace, job, option, values[name])
        except InputError as error:
            errors[name] = _labelled(str(error), declared)[0]
    before = {name: option.default for name, option in declared.items()}
    if earlier is not None:
        before.update({n: declared[n].check(v) for n, v in earlier.items() if n in declared})
    names = frozenset(name for name, value in values.items() if value != before[name])
    if errors:
        return Filled(job, None, names, errors)
    missing = [option for option in declared.values() if option.begins and values[option.name] is None]
    try:
        if missing and earlier is None:
            raise InputError("please give " + " and ".join(f"{o.name} ({o.help})" for o in missing))
        options = job.options.make(values)
    except InputError as error:
        problem, fields = _labelled(str(error), declared)
        return Filled(job, None, names, problem=problem, fields=fields)
    if emptied := [name for name in names if values[name] is None]:
        return Filled(
            job, None, names, {emptied[0]: f"{_label(emptied[0])} cannot be emptied when a job goes on"}
        )
    return Filled(job, options, names)


def _labelled(sentence: str, names: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """A sentence with its options called as their fields are, and which these are.

    A name of one word may be a word of the sentence ("5 classes"); it is an option at the start and before
    its help in parentheses. What is quoted, or part of a path, is none.
    """
    found: dict[str, None] = {}

    def label(match: re.Match[str]) -> str:
        found[match[0]] = None
        return _label(match[0])

    def pattern(name: str) -> str:
        return name if "_" in name else rf"(?:^{name}|{name}(?= \())"

    either = "|".join(pattern(name) for name in names)
    text = re.sub(rf"(?<![\w'\"/.-])(?:{either})(?![\w'\"/-]|\.\w)", label, sentence)
    return text, tuple(found)


def _parsed(option: Option, text: Any) -> Any:
    if isinstance(text, str) and option.kind.count is not None:
        return option.kind.split(text)
    if not isinstance(text, str | bool | int | float):
        raise InputError(f"{option.name} is no text")
    return text.strip() if isinstance(text, str) else text


def _check_paths(workspace: Workspace, job: Job, option: Option, value: Any) -> None:
    """Refuse files outside the project, and inputs that are not there."""
    if option.kind.scalar is not Path or value is None:
        return
    writes = job.has_directory and option.positional
    for path in option.kind.parts(value):
        found = workspace.write(path) if writes else workspace.read(path)
        if option.input and not found.exists():
            raise InputError(f"there is no {path} in the project")


@dataclass(frozen=True)
class Running:
    """How a job is to be run: its alias, the job "AutoPick/job006" that goes on, and threads (0: all)."""

    alias: str = ""
    going_on: str = ""
    threads: int = 0

    @property
    def words(self) -> list[str]:
        words = [f"--alias={self.alias}"] if self.alias else []
        words += [f"--continue={self.going_on}"] if self.going_on else []
        return words + ([f"--threads={self.threads}"] if self.threads else [])


def words_of(filled: Filled, running: Running) -> list[str]:
    """Return the command line of a filled form, without the word boxwood.

    Raises
    ------
    InputError
        If it has errors.
    """
    if filled.options is None:
        raise InputError(filled.problem or "; ".join(filled.errors.values()))
    return command_words(filled.job, filled.options, filled.names, running.words)


def command_of(filled: Filled, running: Running) -> str:
    """The same as typed in a shell; empty for a form with errors."""
    try:
        return shlex.join(["boxwood", *words_of(filled, running)])
    except InputError:
        return ""
