"""Who may ask: a browser of this computer that came with the token, from our own page.

Three attacks are shut out. Somebody else on this computer has no cookie. A page of another site that a user
visits (CSRF) sends another `Origin`; the cookie's SameSite is not enough, since it takes all ports of
127.0.0.1 for one site. A site whose name was made to point here (DNS rebinding) sends another `Host`.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Mapping
from html import escape
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?")
_SAFE = ("GET", "HEAD")
_HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Keys:
    """Tokens of links, each good for one login, and the keys in the cookies of those who have logged in.

    Attributes
    ----------
    cookie : str
        The cookies' name.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: list[str] = []
        self._sessions: list[str] = []
        # Cookies do not know ports: servers seen as one host, on forwarded ports say, each need a name.
        self.cookie = f"boxwood-{secrets.token_hex(8)}"

    def new_token(self) -> str:
        """Return a token for one login."""
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._tokens.append(token)
        return token

    def exchange(self, token: str) -> str | None:
        """Return the key of a new session for a token, which is used up by that; None if it is not good."""
        with self._lock:
            known = _matching(token, self._tokens)
            if known is None:
                return None
            self._tokens.remove(known)
            session = secrets.token_urlsafe(32)
            self._sessions.append(session)
        return session

    def is_session(self, key: str) -> bool:
        with self._lock:
            return _matching(key, self._sessions) is not None


def _matching(given: str, known: list[str]) -> str | None:
    """The same text among `known`; how long that takes tells nothing of it."""
    found = None
    for text in known:
        if hmac.compare_digest(text.encode(), given.encode()):
            found = text
    return found


class Guard:
    """ASGI middleware that lets nothing pass but requests of logged-in pages.

    Parameters
    ----------
    app : ASGI application
    keys : Keys
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"{scope['type']} is not spoken here")
        request = Request(scope)
        answer = self._refused(request)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *headers]}
            await send(message)

        await (answer or self.app)(scope, receive, guarded)

    def _refused(self, request: Request) -> Response | None:
        """The answer to a request that does not pass, or that logs in; None for those that pass."""
        headers = request.headers
        if not from_here(headers, request.method):
            return _refusal(request, 403, "This request does not come from boxwood's own page.")
        token = request.query_params.get("token")
        if token is not None and request.method == "GET":
            session = self.keys.exchange(token)
            if session is not None:
                return self._logged_in(request, session)
        if self.keys.is_session(request.cookies.get(self.keys.cookie, "")):
            return _to_page(request) if token is not None else None
        why = "This link was used already, or is cut off." if token else "This browser has not logged in."
        return _refusal(request, 401, f"{why} Press Enter where boxwood ui runs: it prints a new link.")

    def _logged_in(self, request: Request, session: str) -> Response:
        answer = _to_page(request)
        answer.set_cookie(self.keys.cookie, session, httponly=True, samesite="strict", path="/")
        return answer


def from_here(headers: Headers | Mapping[str, str], method: str) -> bool:
    """Whether a request was addressed to this computer, and, where it changes something, by our own page."""
    host = headers.get("host", "")
    if not _LOOPBACK.fullmatch(host):
        return False
    origin = headers.get("origin")
    if origin is None and method in _SAFE:
        return headers.get("sec-fetch-site", "none") in ("none", "same-origin") or _is_visit(headers)
    return origin == f"http://{host}"


def _is_visit(headers: Headers | Mapping[str, str]) -> bool:
    """Whether somebody follows a link, from a mail say: that opens a page, which the asker cannot read."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _to_page(request: Request) -> Response:
    """Send the browser to the same page without the token.

    A page of ours does it, not a redirect: a redirect that began elsewhere would come without the cookie.
    """
    query = urlencode([pair for pair in parse_qsl(request.url.query) if pair[0] != "token"])
    path = "/" + request.url.path.lstrip("/\\")
    target = escape(path + ("?" + query if query else ""), quote=True)
    page = f'<!doctype html><meta http-equiv="refresh" content="0;url={target}"><title>boxwood</title>'
    return HTMLResponse(page, headers={"cache-control": "no-store"})


def _refusal(request: Request, status: int, text: str) -> Response:
    headers = {"cache-control": "no-store"}
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"error": text}, status, headers)
    page = (
        f'<!doctype html><html lang="en"><title>boxwood</title><h1>boxwood</h1><p>{escape(text)}</p></html>'
    )
    return HTMLResponse(page, status, headers)
