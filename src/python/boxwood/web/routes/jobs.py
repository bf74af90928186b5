"""One job: what it is, its logs, and what can be done to it; and the stream of what changes."""

from __future__ import annotations

import mimetypes
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from boxwood.errors import BoxwoodError, InputError
from boxwood.io.atomic import write_text
from boxwood.web.changes import LOGS, Watch, piece_of, stream
from boxwood.web.endpoint import Call, MissingError, failure, route
from boxwood.web.images import encode
from boxwood.web.jobs import PICTURES, cancel, job_detail, mark_lost
from boxwood.web.revisions import revision, save
from boxwood.web.thumbnails import thumbnail


def name_of(call: Call) -> str:
    """The job that an address names, "AutoPick/job001" or by its alias, as "AutoPick/job001/"."""
    try:
        return call.workspace.project.job(f"{call.path['type']}/{call.path['number']}").name
    except InputError as error:
        raise MissingError(str(error)) from None


def show_job(call: Call) -> dict[str, Any]:
    """All of a job but its files: status, settings, the ends of its logs and where they end, its note."""
    name = name_of(call)
    logs = [piece_of(call.workspace.read(f"{name}{log}"), 0) for log in LOGS]
    note = call.workspace.read(f"{name}note.txt")
    return {
        **job_detail(call.workspace, name),
        "out": logs[0][0],
        "err": logs[1][0],
        "after": f"{logs[0][1]}-{logs[1][1]}",
        "note": note.read_text(encoding="utf-8", errors="replace") if note.exists() else "",
        "note_revision": revision(note),
    }


def cancel_job(call: Call) -> dict[str, Any]:
    cancel(call.workspace, name_of(call))
    return {}


def end_lost_job(call: Call) -> dict[str, Any]:
    mark_lost(call.workspace, name_of(call))
    return {}


def set_alias(call: Call) -> dict[str, Any]:
    """Give a job an alias, or with "" take it away."""
    return {"alias": call.workspace.project.rename_job(name_of(call), call.given("alias").strip())}


def set_note(call: Call) -> dict[str, Any]:
    """Save note.txt, unless somebody else has."""
    path = call.workspace.write(f"{name_of(call)}note.txt")
    text = call.given("content")
    return {"revision": save(call.given("revision"), lambda: write_text(path, text), path)}


def show_picture(call: Call) -> Response:
    """A picture that a job drew."""
    path = call.workspace.read(call.path["path"])
    if path.suffix not in PICTURES or not path.is_file():
        raise MissingError(f"there is no picture {call.path['path']}")
    kind = mimetypes.guess_type(path.name)[0]
    # An SVG opened by itself is a page; in a sandbox it can do nothing.
    headers = {"cache-control": "private, no-cache", "content-security-policy": "sandbox; default-src 'none'"}
    return FileResponse(path, media_type=kind, headers=headers)


def show_thumbnail(call: Call) -> Response:
    """A small picture of what a job made; 204 if it made nothing to be seen."""
    pixels = thumbnail(call.workspace, name_of(call))
    if pixels is None:
        return Response(status_code=204)
    return Response(
        encode(pixels, "png"), media_type="image/png", headers={"cache-control": "private, no-cache"}
    )


def forget_run(call: Call) -> dict[str, Any]:
    call.workspace.runs.forget(call.path["run"])
    return {}


def stop_run(call: Call) -> dict[str, Any]:
    call.workspace.runs.stop(call.path["run"])
    return {}


async def live(request: Request) -> Response:
    """Events of the project, of `job` from `after` on, of every `file`, and with `progress` of what runs."""
    query = request.query_params
    after = request.headers.get("last-event-id") or query.get("after", "")
    workspace = request.app.state.workspace
    try:
        job = workspace.project.job(query["job"]).name.rstrip("/") if query.get("job") else ""
        watch = Watch(workspace, job, query.getlist("file"), after, "progress" in query)
    except BoxwoodError as error:
        return failure(error)
    headers = {"cache-control": "no-store"}
    return StreamingResponse(stream(watch), media_type="text/event-stream", headers=headers)


ROUTES = [
    route("/api/job/{type}/{number}", show_job),
    route("/api/job/{type}/{number}/cancel", cancel_job, "POST"),
    route("/api/job/{type}/{number}/lost", end_lost_job, "POST"),
    route("/api/job/{type}/{number}/alias", set_alias, "PUT"),
    route("/api/job/{type}/{number}/note", set_note, "PUT"),
    route("/api/run/{run}/forget", forget_run, "POST"),
    route("/api/run/{run}/stop", stop_run, "POST"),
    route("/image/job/{path:path}", show_picture),
    route("/image/thumbnail/{type}/{number}", show_thumbnail),
    Route("/api/live", live),
]
