"""A live job: what has come, the picks of a micrograph, and asking it to finish."""

from __future__ import annotations

from typing import Any

from boxwood.errors import InputError
from boxwood.jobs.live.run import FINISH
from boxwood.web import arrivals
from boxwood.web.endpoint import Call, route
from boxwood.web.jobs import status_of
from boxwood.web.routes.jobs import name_of


def show_arrivals(call: Call) -> dict[str, Any]:
    """How the job stands, and its newest micrographs; see `boxwood.web.arrivals.overview`."""
    job, project = name_of(call), call.workspace.project
    found = arrivals.overview(call.workspace, job)
    return {"job": job.rstrip("/"), "status": status_of(project, project.job(job)), **found}


def show_picks(call: Call) -> dict[str, Any]:
    return arrivals.picks_of(call.workspace, name_of(call), call.text("name"))


def finish(call: Call) -> dict[str, Any]:
    """Ask the job to take what has come, classify all of it, and end."""
    job, project = name_of(call), call.workspace.project
    arrivals.ledger_of(call.workspace, job)  # or it is no live job
    status = status_of(project, project.job(job))
    if status != "Running":
        raise InputError(f"{job.rstrip('/')} is not running, it is {status.lower()}")
    call.workspace.write(f"{job}{FINISH}").touch()
    return {}


ROUTES = [
    route("/api/arrivals/{type}/{number}", show_arrivals),
    route("/api/arrivals/{type}/{number}/picks", show_picks),
    route("/api/arrivals/{type}/{number}/finish", finish, "POST"),
]
