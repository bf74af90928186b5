"""The project: its jobs."""

from __future__ import annotations

from typing import Any

from boxwood.web.endpoint import Call, route
from boxwood.web.jobs import job_entry


def show_project(call: Call) -> dict[str, Any]:
    """Name, folder, jobs, the newest last, and runs that are more or less than a job."""
    project = call.workspace.project
    jobs = project.pipeline().jobs() if project.exists else []
    return {
        "name": call.workspace.root.name,
        "folder": str(call.workspace.root),
        "jobs": [job_entry(project, job) for job in jobs],
        "runs": call.workspace.runs.summary(),
    }


def new_link(call: Call) -> dict[str, Any]:
    """A token that logs in another browser, once."""
    return {"token": call.workspace.keys.new_token()}


ROUTES = [
    route("/api/project", show_project),
    route("/api/link", new_link, "POST"),
]
