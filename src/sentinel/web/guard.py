"""What every request passes before a route sees it: who may ask, how much may be sent, what browsers may do.

Everything that writes is denied unless it carries an operator's token; routes need not remember to ask.
"""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sentinel.web.seams.daemon import Tokens
from sentinel.web.seams.faces import Site

WRITE = "/api/v1/write"
"""Where others hand in samples."""
ALERTS = "/api/v2/alerts"
"""Where others hand in alerts."""
SENDERS = frozenset({WRITE, ALERTS})
"""Where a sender's token will do."""
MAX_BODY = 1024 * 1024
"""Bytes that a request may carry: more JSON than this could not be read without holding others up."""
MAX_SAMPLES_BODY = 8 * 1024 * 1024
"""Bytes of samples that a request may carry, compressed."""
BODY_DEADLINE = 10.0
"""Seconds in which a request's body has to arrive."""

READING_POSTS = frozenset(
    f"/api/v1/{name}" for name in ("query", "query_range", "query_exemplars", "series", "labels")
)
"""POST routes that only read: Grafana sends long expressions this way."""
STREAMS = frozenset({"/live"})
"""Answers without an end."""
OPEN_TO_ANY_HOST = frozenset({"/metrics", "/federate", "/snmp", "/probe", "/-/healthy", "/-/ready", WRITE})
"""Asked by machines under whatever name they know; nothing there is for browsers."""

SECURITY_HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # same-origin rather than no-referrer: with the latter browsers send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class TooLargeError(Exception):
    """The body is larger than it may be."""


class Hosts:
    """Under which names the pages may be addressed.

    A name that an attacker points at this machine (DNS rebinding) is none of these, so a stranger's page
    cannot read or write through the visitor's browser.
    """

    def __init__(self, site: Site) -> None:
        external = urlsplit(site.external_url)
        self._origin = f"{external.scheme}://{external.netloc}".lower()
        self._names = {"localhost", *(_plain(name) for name in site.allowed_hosts)}
        if external.hostname:
            self._names.add(_plain(external.hostname))
        listen = _address(site.listen)
        self._any_address = listen is not None and listen.is_unspecified
        self._listen = listen

    def allows(self, host: str) -> bool:
        """Whether a Host header names this daemon."""
        name = _host_of(host)
        if name in self._names:
            return True
        address = _address(name)
        if address is None:
            return False
        return self._any_address or address.is_loopback or address == self._listen

    def allows_origin(self, origin: str, host: str) -> bool:
        """Whether a page of that origin may write here: our own pages only."""
        origin = origin.lower()
        return origin == self._origin or urlsplit(origin).netloc == host.lower()


class Guard:
    """ASGI middleware in front of all routes."""

    def __init__(self, app: ASGIApp, *, site: Site, tokens: Tokens) -> None:
        self._app = app
        self._hosts = Hosts(site)
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_security_headers(send)
        refusal = self._refuse_place(scope) or await self._refuse_write(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        try:
            receive = await _whole_body(scope, receive)
        except TooLargeError:
            await _text(413, f"more than {_limit(scope)} bytes sent")(scope, receive, send)
            return
        except TimeoutError:
            await _text(408, "the body did not arrive in time")(scope, receive, send)
            return
        if scope["method"] == "HEAD" and scope["path"] not in STREAMS:
            # As GET; the server leaves the body out. Uptime checkers ask this way.
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)

    def _refuse_place(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not _is_open_to_any_host(scope) and not self._hosts.allows(host):
            return _text(
                403, "this host name is not served here; add it to [web] allowed_hosts if it should be"
            )
        if not _is_sensitive(scope):
            return None
        if origin is not None and not self._hosts.allows_origin(origin, host):
            return _text(403, "requests from pages of another origin are refused")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and origin is None:
            return _text(403, "requests from pages of another origin are refused")
        return None

    async def _refuse_write(self, scope: Scope) -> Response | None:
        if scope["method"] in ("GET", "HEAD") or scope["path"] in READING_POSTS:
            return None
        if scope["method"] not in ("POST", "PUT", "PATCH", "DELETE"):
            return _text(405, "method not allowed")
        given = bearer(Headers(scope=scope))
        actor = await self._tokens.verify(given, sends=scope["path"] in SENDERS) if given else None
        if actor is None:
            text = "the token is not valid" if given else "this needs 'Authorization: Bearer TOKEN'"
            return _text(401, text, {"WWW-Authenticate": 'Bearer realm="sentinel"'})
        scope.setdefault("state", {})["actor"] = actor
        return None


def actor_of(request: Request) -> str:
    """Name of the token that a writing request came with."""
    actor: str = request.state.actor
    return actor


def bearer(headers: Headers) -> str:
    """The token of an Authorization header, or an empty string."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and len(token) <= 512 else ""


def _is_sensitive(scope: Scope) -> bool:
    """Writes, and the stream of live pages."""
    return scope["method"] not in ("GET", "HEAD") or scope["path"] == "/live"


def _is_open_to_any_host(scope: Scope) -> bool:
    """Machines know the daemon under names of their own; what browsers could read there is not open."""
    is_sent = scope["path"] == ALERTS and scope["method"] == "POST"
    return is_sent or scope["path"] in OPEN_TO_ANY_HOST


def _host_of(header: str) -> str:
    """Name or address in a Host header, without the port."""
    try:
        return _plain(urlsplit(f"//{header}").hostname or "")
    except ValueError:
        return ""


def _plain(name: str) -> str:
    return name.strip().rstrip(".").lower()


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _with_security_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return wrapped


async def _whole_body(scope: Scope, receive: Receive) -> Receive:
    """The request with its body read, bounded in size and time; later messages (disconnect) come as before.

    Raises:
        TooLargeError: more bytes announced or sent than there may be.
        TimeoutError: not here within BODY_DEADLINE.
    """
    headers, limit = Headers(scope=scope), _limit(scope)
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > limit:
        raise TooLargeError
    if announced == "0" and "transfer-encoding" not in headers:
        return receive
    chunks: list[bytes] = []
    size, more = 0, True
    async with asyncio.timeout(BODY_DEADLINE):
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise TooLargeError
            more = message.get("more_body", False)
    return _replay(b"".join(chunks), receive)


def _limit(scope: Scope) -> int:
    """Bytes that a body may have."""
    return MAX_SAMPLES_BODY if scope["path"] == WRITE else MAX_BODY


def _replay(body: bytes, receive: Receive) -> Receive:
    first: Message = {"type": "http.request", "body": body, "more_body": False}
    messages = iter([first])

    async def replayed() -> Message:
        return next(messages, None) or await receive()

    return replayed


def _text(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text + "\n", status, headers)
