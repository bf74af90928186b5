"""A route is a function of a `Call`, which a thread runs; what it returns or raises becomes the answer."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from boxwood.errors import BoxwoodError, InputError
from boxwood.web.inside import OutsideError
from boxwood.web.revisions import ConflictError
from boxwood.web.workspace import Workspace

_LARGEST_BODY = 64 << 20
# What may stand for half a character, alone or beside the other half.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
Number = TypeVar("Number", int, float)


class MissingError(InputError):
    """What a request names is not there; the answer is 404."""


_STATUS = {
    OutsideError: 403,
    MissingError: 404,
    ConflictError: 409,
    FileNotFoundError: 404,
    NotADirectoryError: 404,
    IsADirectoryError: 400,
}


@dataclass(frozen=True)
class Call:
    """What was asked.

    Attributes
    ----------
    workspace : Workspace
    path : mapping
        Parts of the address that the route names: "/api/job/{name:path}" has "name".
    query, headers : mapping
    body : Any
        The JSON sent along; None if there was none.
    """

    workspace: Workspace
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any = None

    def text(self, name: str, default: str | None = None) -> str:
        """Return a value of the query; without a default it must be there."""
        value = self.query.get(name, default)
        if value is None:
            raise InputError(f"the request does not say {name}")
        return value

    def number(self, name: str, default: Number) -> Number:
        """Return a number of the query, of the default's type; it must be finite."""
        try:
            value = type(default)(self.query.get(name, default))
            if not math.isfinite(value):
                raise ValueError
            return value
        except (ValueError, OverflowError):
            raise InputError(f"{name} is {self.query[name]!r}; it must be a number") from None

    def given(self, name: str, kind: type = str) -> Any:
        """Return a value of the body, which must be of this type."""
        value = self.body.get(name) if isinstance(self.body, dict) else None
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise InputError(f"the request does not say {name}, a {kind.__name__}")
        return value


def route(address: str, function: Callable[[Call], Any], method: str = "GET") -> Route:
    """Make a route: dictionaries and lists are answered as JSON, responses of Starlette as they are.

    Errors of boxwood become {"error": their sentence} with status 400, 403, 404 or 409.
    """

    async def endpoint(request: Request) -> Response:
        try:
            call = await _call(request)
            work = asyncio.get_running_loop().run_in_executor(call.workspace.pool, function, call)
            found = await work
        except (BoxwoodError, OSError) as error:
            return failure(error)
        if isinstance(found, Response):
            return found
        return JSONResponse(found, headers={"cache-control": "no-store"})

    return Route(address, endpoint, methods=[method])


def failure(error: Exception) -> JSONResponse:
    """The answer that an error is."""
    default = 400 if isinstance(error, InputError) else 500
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), default)
    body = {"error": str(error)}
    if isinstance(error, ConflictError):
        body["revision"] = error.revision
    return JSONResponse(body, status, {"cache-control": "no-store"})


async def _call(request: Request) -> Call:
    body = None
    if request.method not in ("GET", "HEAD"):
        body = await _json(request)
    return Call(request.app.state.workspace, request.path_params, request.query_params, request.headers, body)


async def _json(request: Request) -> Any:
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > _LARGEST_BODY:
            raise InputError(f"the request is longer than {_LARGEST_BODY >> 20} MiB")
    try:
        found = json.loads(content) if content else None
        if _SURROGATE.search(content):
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InputError("the request has half a character in it, which no file can hold") from None
    except (ValueError, RecursionError):
        raise InputError("the request is no JSON, or lists in lists too deep") from None
    return found
