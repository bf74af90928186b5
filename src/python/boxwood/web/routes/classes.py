"""2D classifications: their iterations, classes and convergence, and which classes are selected."""

from __future__ import annotations

from typing import Any

import numpy as np

from boxwood.errors import InputError
from boxwood.io.selection import read_selection
from boxwood.io.star import read_star
from boxwood.web import classes
from boxwood.web.endpoint import Call, MissingError, route
from boxwood.web.jobs import status_of
from boxwood.web.particles import kept_selection, save_selection, selection_file
from boxwood.web.revisions import revision, save


def _job(call: Call) -> str:
    """The job's folder, "Class2D/job003/"; it may be named by its alias."""
    try:
        return call.workspace.project.job(call.path["job"]).name
    except InputError as error:
        raise MissingError(str(error)) from None


def _iteration(call: Call, job: str) -> classes.Iteration:
    """The iteration asked for; the last where none is."""
    found = classes.iterations(call.workspace, job)
    number = call.number("iteration", -1)
    fitting = [each for each in found if number in (-1, each.number)]
    if not fitting:
        raise MissingError(
            f"{job} has no iteration {number}" if found else f"{job} has no class averages yet"
        )
    return fitting[-1]


def show_run(call: Call) -> dict[str, Any]:
    """Which iterations there are, and whether more are to come."""
    job = _job(call)
    project = call.workspace.project
    found = classes.iterations(call.workspace, job)
    return {
        "job": job.rstrip("/"),
        "status": status_of(project, project.job(job)),
        "iterations": [each.number for each in found],
    }


def show_convergence(call: Call) -> list[dict[str, Any]]:
    """A row for every iteration, see `boxwood.web.classes.convergence`."""
    return classes.convergence(call.workspace, _job(call))


def show_iteration(call: Call) -> dict[str, Any]:
    """The classes of an iteration: where their averages and particles are, and what is known of them."""
    iteration = _iteration(call, _job(call))
    table = classes.class_table(call.workspace, iteration)
    sizes = classes.class_sizes(call.workspace, iteration, len(table["number"]))
    stack = call.workspace.read(iteration.name("classes.mrcs"))
    stamp = stack.stat()
    return {
        "iteration": iteration.number,
        "model": iteration.name("model.star"),
        "averages": iteration.name("classes.mrcs"),
        "tag": f"{stamp.st_mtime_ns:x}-{stamp.st_size:x}",
        "particles": iteration.name("data.star") if sizes is not None else "",
        "classes": {**table, "size": sizes or [None] * len(table["number"])},
    }


def show_selection(call: Call) -> dict[str, Any]:
    """The classes of an iteration that are selected, and selections of them that jobs have saved."""
    job = _job(call)
    iteration = _iteration(call, job)
    count = len(classes.class_table(call.workspace, iteration)["number"])
    path = selection_file(call.workspace, iteration.name("model.star"))
    selected, problem = kept_selection(path, count)
    return {
        "selection": path.relative_to(call.workspace.root).as_posix(),
        "selected": [] if selected is None else np.flatnonzero(selected).tolist(),
        "problem": problem,
        "revision": revision(path),
        "saved": _saved(call, job, count),
    }


def _saved(call: Call, job: str, count: int) -> list[dict[str, Any]]:
    """Backup selections of the Select jobs that read this job's files."""
    found = []
    for other in call.workspace.project.pipeline().jobs():
        if not any(file.startswith(job) for file in other.inputs):
            continue
        if not any(file.endswith(("_model.star", "_optimiser.star")) for file in other.inputs):
            continue  # a selection of particles
        backup = call.workspace.read(f"{other.name}backup_selection.star")
        if not backup.exists():
            continue
        tables = read_star(backup).values()
        if any("rlnSelected" in table and np.size(table["rlnSelected"]) == count for table in tables):
            selected = np.flatnonzero(read_selection(backup, count)).tolist()
            found.append({"job": other.name.rstrip("/"), "selected": selected})
    return found


def keep_selection(call: Call) -> dict[str, Any]:
    """Keep which classes are selected, unless somebody else has selected meanwhile."""
    iteration = _iteration(call, _job(call))
    count = len(classes.class_table(call.workspace, iteration)["number"])
    path = selection_file(call.workspace, iteration.name("model.star"))
    chosen = call.given("content", list)

    def write() -> None:
        save_selection(path, count, chosen, selected=True)

    return {"revision": save(call.given("revision"), write, path)}


ROUTES = [
    route("/api/classes/run/{job:path}", show_run),
    route("/api/classes/convergence/{job:path}", show_convergence),
    route("/api/classes/iteration/{job:path}", show_iteration),
    route("/api/classes/selection/{job:path}", show_selection),
    route("/api/classes/selection/{job:path}", keep_selection, "PUT"),
]
