"""The page as an ASGI application."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from boxwood.web.guard import Guard
from boxwood.web.routes import MODULES
from boxwood.web.workspace import Workspace

STATIC = Path(__file__).parent / "static"


class _Fresh(StaticFiles):
    """Files that a browser asks about again each time, so that an upgrade is seen at once."""

    def file_response(self, *what: object, **settings: object) -> Response:
        response = super().file_response(*what, **settings)  # type: ignore[arg-type]
        response.headers["cache-control"] = "no-cache"
        return response


def make_app(workspace: Workspace) -> Starlette:
    """Return the application that shows one project."""
    routes: list[BaseRoute] = []
    for name in MODULES:
        routes += import_module(f"boxwood.web.routes.{name}").ROUTES
    routes += [
        Mount("/static", _Fresh(directory=STATIC)),
        Route("/api/{path:path}", _no_such_thing),
        Route("/image/{path:path}", _no_such_thing),
        Route("/{path:path}", _page),  # the address of a view: the page's own router reads it
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, keys=workspace.keys)],
        exception_handlers={HTTPException: _refused},
    )
    app.state.workspace = workspace
    return app


async def _page(request: Request) -> Response:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    named = text.replace("<html ", f'<html data-project="{request.app.state.workspace.id}" ', 1)
    return HTMLResponse(named, headers={"cache-control": "no-cache"})


async def _refused(request: Request, error: Exception) -> Response:
    """What Starlette refuses by itself: another method (405), a file that is not there."""
    assert isinstance(error, HTTPException)
    text = f"{request.method} {request.url.path}: {error.detail.lower()}"
    return JSONResponse({"error": text}, error.status_code, error.headers)


async def _no_such_thing(request: Request) -> Response:
    return JSONResponse({"error": f"there is no {request.url.path}"}, 404)
