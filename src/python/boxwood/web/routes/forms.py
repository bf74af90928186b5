"""Forms of jobs: what there is to fill in, whether it is right, and starting."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from boxwood.errors import InputError
from boxwood.project.alias import check_alias
from boxwood.web.endpoint import Call, route
from boxwood.web.forms import (
    Filled,
    Running,
    command_of,
    job_with_form,
    make_form,
    read_form,
    shown,
    startable,
    words_of,
)
from boxwood.web.jobs import asked_for
from boxwood.web.suggestions import suggested


def list_forms(call: Call) -> dict[str, Any]:
    """Jobs that can be started."""
    return {"jobs": startable()}


def show_form(call: Call) -> dict[str, Any]:
    """The form of a job; with `like` or `continue`, a job of the project, filled in as that one was."""
    job = job_with_form(call.path["job"])
    going_on = call.query.get("continue", "")
    form = make_form(call.workspace, job, bool(going_on))
    like = going_on or call.query.get("like", "")
    values = _earlier(call, job.name, like) if like else {}
    known = {field["name"] for tab in form["tabs"] for field in tab["fields"]}
    form["values"] = {
        name: shown(value) for name, value in values.items() if name in known and value is not None
    }
    form["keeps"] = sorted(job.keeps(job.options.make(values))) if going_on and job.keeps else []
    form["processors"] = len(os.sched_getaffinity(0))
    return form


def check_form(call: Call) -> dict[str, Any]:
    """What is wrong with a filled form, the command line that it stands for, and what else to fill in."""
    filled, running = _filled(call)
    return {
        "errors": filled.errors,
        "problem": filled.problem,
        "fields": filled.fields,
        "command": command_of(filled, running),
        "suggested": {}
        if running.going_on
        else suggested(call.workspace, filled.job.name, call.body["values"]),
    }


def start_job(call: Call) -> dict[str, Any]:
    """Start a job; answers when it has its folder, or has ended without one."""
    filled, running = _filled(call)
    if filled.errors:
        raise InputError("; ".join(filled.errors.values()))
    run = call.workspace.runs.start(words_of(filled, running))
    call.workspace.runs.wait_for_job(run)
    return run.shown()


def _filled(call: Call) -> tuple[Filled, Running]:
    job = job_with_form(call.path["job"])
    values = call.given("values", dict)
    alias, going_on = call.given("alias").strip(), call.given("continue")
    running = Running(alias, going_on, call.given("threads", int))
    if running.threads < 0:
        raise InputError(f"threads is {running.threads}; it must be at least 1")
    earlier = _earlier(call, job.name, going_on) if going_on else None
    filled = read_form(call.workspace, job, values, earlier)
    if alias and job.process is None:
        raise InputError(f"{job.name} has no folder of its own, so it cannot have an alias")
    if alias:
        project = call.workspace.project
        taken = project.pipeline().aliases() if project.exists else []
        try:
            check_alias(alias, job.folder, call.workspace.root, taken)
        except InputError as error:
            filled.errors["alias"] = str(error)
    return filled, running


def _earlier(call: Call, kind: str, name: str) -> Mapping[str, Any]:
    """The options of an earlier job of the same kind."""
    project = call.workspace.project
    job, values, why = asked_for(call.workspace, project.job(name).name)
    if job is None or job.name != kind:
        raise InputError(f"{name} is no job of `boxwood {kind}`. {why}".strip())
    return values


ROUTES = [
    route("/api/forms", list_forms),
    route("/api/form/{job}", show_form),
    route("/api/form/{job}/check", check_form, "POST"),
    route("/api/form/{job}/start", start_job, "POST"),
]
