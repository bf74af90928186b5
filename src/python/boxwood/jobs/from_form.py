"""The job that a filled form of RELION asks for: its kind, its options, and what is not used of the form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boxwood.errors import InputError
from boxwood.jobs.job import Job
from boxwood.jobs.registry import load_job
from boxwood.options import applies
from boxwood.options.joboptions import joboptions, known_names, names_of, values_of
from boxwood.project.folder import ProjectFolder
from boxwood.project.form_fields import MACHINE, filled_form
from boxwood.project.job_files import read_settings
from boxwood.project.job_form import JobForm
from boxwood.project.names import job_folder

_JOBS = {0: "import", 3: "manual-pick", 4: "autopick", 5: "extract", 8: "class2d"}
# Work of another kind. Where an option answers to one of these, it is not asked about here.
_OTHER_WORK = {
    *("do_raw", "do_refs", "do_ref3d", "do_topaz", "do_topaz_train", "do_topaz_pick", "continue_manual"),
    *("do_pick_helical_segments", "do_extract_helix", "do_helix", "do_startend", "do_filaments"),
    *("do_select_values", "do_discard", "do_split", "do_remove_duplicates"),
}
# Details of such work.
_DETAILS = ("topaz", "fn_topaz", "do_topaz", "helical", "do_amyloid", "ref3d", "dendrogram", "qsub_extra")


@dataclass(frozen=True)
class FormJob:
    """A job as its form asks for it.

    Attributes
    ----------
    job : Job
    values : dict
        Options by name, as text.
    unused : list of str
        Joboptions that say something this job has no use for: "diameter 120".
    project : Path
    continue_from : Path or None
        Relative to the project.
    scheduled : str or None
        The job's folder, if it is one that waits to be run.
    """

    job: Job
    values: dict[str, Any]
    unused: list[str]
    project: Path
    continue_from: Path | None
    scheduled: str | None = None


def job_of(form: JobForm) -> FormJob:
    """Find the job and the options that a form stands for.

    A form that boxwood wrote stands for all options of that job, also for those that RELION's form has no
    field for, and for what was changed in it since.

    Raises
    ------
    InputError
        If the form asks for something boxwood does not do.
    """
    project, folder = _place(form.path)
    job = load_job(_name(form))
    _refuse_other_work(job, form)
    known = read_settings(project / folder, job.name) if folder else {}
    if known:
        values = {**known, **_changes(job, known, form.joboptions)}
    else:
        values = values_of(job.options, form.joboptions)
        declared = {o.name: o for o in job.options.declared()}
        values |= {
            name: text for name, text in job.of_relion.items() if applies(declared[name], declared, values)
        }
    scheduled = folder.as_posix() + "/" if folder and _is_scheduled(project, folder) else None
    goes_on = None if scheduled else _continued(form, folder)
    return FormJob(job, values, _unused(job, form, values), project, goes_on, scheduled)


def _is_scheduled(project: Path, folder: Path) -> bool:
    books = ProjectFolder(project)
    return books.exists and books.job(folder).status == "Scheduled"


def _name(form: JobForm) -> str:
    """RELION has one form for all kinds of import, and one for all kinds of selection."""
    if form.number == 0 and form.joboptions.get("do_raw") == "Yes":
        return "import-micrographs"
    if form.number in _JOBS:
        return _JOBS[form.number]
    if form.joboptions.get("fn_model"):
        return "select-classes"
    return "select-particles" if form.joboptions.get("fn_data") else "select-micrographs"


def _place(path: Path) -> tuple[Path, Path | None]:
    """The project, and the job's folder in it if the form is in one (and not RELION's .gui_*job.star).

    A form that lies in no project is a template for the one in the current folder.
    """
    whole = path.resolve()
    folder = job_folder(whole, whole.parents[2]) if len(whole.parents) > 2 else None
    if folder:
        return whole.parents[2], Path(folder)
    return whole.parent if ProjectFolder(whole.parent).exists else Path.cwd(), None


def _changes(job: Job, known: Mapping[str, Any], form: Mapping[str, str]) -> dict[str, Any]:
    """The options whose fields differ from what boxwood wrote; None where they were emptied."""
    now = values_of(job.options, form)
    options = job.options.make(known)
    told = {**joboptions(options, 3), **joboptions(options, 5)}
    written = values_of(job.options, {name: told[name] for name in told if name in form})
    return {
        declared.name: now.get(declared.name, None if declared.required else declared.default)
        for declared in job.options.declared()
        if now.get(declared.name) != written.get(declared.name)
    }


def _refuse_other_work(job: Job, form: JobForm) -> None:
    for name in sorted(_OTHER_WORK - known_names(job.options)):
        if form.joboptions.get(name) == "Yes":
            raise InputError(f"{form.path} asks for {name}, which `boxwood {job.name}` does not do")
    if form.joboptions.get("do_log", "Yes") == "No" and not form.joboptions.get("fn_refs_autopick"):
        raise InputError(
            f"{form.path} asks for picking neither by Laplacian of Gaussian nor with 2D references "
            "(do_log is No, fn_refs_autopick empty)"
        )


def _unused(job: Job, form: JobForm, values: Mapping[str, Any]) -> list[str]:
    refused = [option for option in job.options.declared() if option.refused]
    unset = {o.joboption: o.unset for o in refused if isinstance(o.joboption, str)}
    declared = {o.name: o for o in job.options.declared()}
    idle = [o for o in declared.values() if o.needs and not applies(o, declared, values)]
    known = known_names(job.options) - names_of(idle)
    usual = [{**filled_form(form.number, relion, {}), **unset, **job.joboptions} for relion in "015"]
    return [
        f"{name} {text}"
        for name, text in sorted(form.joboptions.items())
        if name not in known | MACHINE | {"fn_cont"}
        and not name.startswith(_DETAILS)
        and text not in ("", "No", *(blank.get(name) for blank in usual))
    ]


def _continued(form: JobForm, folder: Path | None) -> Path | None:
    """Where to go on: the file that Class2D's form names, or the job itself."""
    if form.joboptions.get("fn_cont"):
        return Path(form.joboptions["fn_cont"])
    return folder if form.continuing else None
