"""From a module's settings to requests: the first one, and those that redirects ask for."""

from __future__ import annotations

import base64
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import urljoin

from sentinel import __version__
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.format import HttpSettings
from sentinel.collect.probes.message import Head, Request, Url

USER_AGENT = f"Sentinel/{__version__}"
MOST_COOKIES = 50
LONGEST_COOKIE = 4096
LONGEST_FILE = 1024 * 1024
"""Bytes of a body or a secret in a file."""

_OWN_HOST_ONLY = ("Authorization", "Cookie", "Www-Authenticate", "Proxy-Authorization")
"""Headers that a redirect to another host drops."""


def first_request(settings: HttpSettings, url: Url, folder: Path) -> Request:
    """
    Raises:
        ProbeFailure: a file with the body or a secret cannot be read.
    """
    headers = {"User-Agent": USER_AGENT}
    host = url.authority
    for name, value in settings.headers.items():
        title = name.title()
        if title == "Host":
            host = value
            continue
        headers = {known: kept for known, kept in headers.items() if known.title() != title}
        headers[name] = value
    if not any(name.title() == "Authorization" for name in headers):
        proof = _proof(settings, folder)
        if proof:
            headers["Authorization"] = proof
    body = _read(folder / settings.body_file) if settings.body_file else settings.body.encode()
    return Request(url, settings.method, host, headers, body)


def _proof(settings: HttpSettings, folder: Path) -> str:
    """The header Authorization, or an empty string. Files are read each time: tokens are renewed in place."""
    basic, other = settings.basic_auth, settings.authorization
    if basic is not None:
        user = basic.username or _secret(basic.username_file, folder)
        password = basic.password.reveal() or _secret(basic.password_file, folder)
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    if other is not None:
        token = other.credentials.reveal() or _secret(other.credentials_file, folder)
        return f"{other.type} {token}" if token else ""
    token = settings.bearer_token.reveal() or _secret(settings.bearer_token_file, folder)
    return f"Bearer {token}" if token else ""


def _secret(name: str, folder: Path) -> str:
    return _read(folder / name).decode("utf-8", "replace").strip() if name else ""


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as open_:
            content = open_.read(LONGEST_FILE + 1)
    except OSError as error:
        raise ProbeFailure("module", f"{file} cannot be read: {error.strerror}") from None
    if len(content) > LONGEST_FILE:
        raise ProbeFailure("module", f"{file} is larger than {LONGEST_FILE} bytes")
    return content


class Travel:
    """What is remembered from one answer to the next request."""

    def __init__(self, first: Request) -> None:
        self._first = first
        self._cookies: dict[str, dict[str, str]] = {}
        """[host][name]: cookies go back only to the very host that set them."""
        self.count = 0
        """Redirects seen."""

    def next(self, request: Request, head: Head, location: str) -> Request:
        """The request that a redirect asks for.

        Raises:
            ProbeFailure: it leads to something that is no URL.
        """
        self._remember(request.url.host, head)
        url = self._url(request.url, location)
        is_same = url.host == self._first.url.host
        headers = {
            name: value
            for name, value in self._first.headers.items()
            if is_same or name.title() not in _OWN_HOST_ONLY
        }
        if not (request.url.scheme == "https" and url.scheme == "http"):
            headers["Referer"] = str(request.url)
        cookies = self._cookies.get(url.host)
        if cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        is_relative = "//" not in location
        host = request.host if is_relative else url.authority
        keeps = head.status in (307, 308)
        method = request.method if keeps or request.method in ("GET", "HEAD") else "GET"
        body = request.body if keeps else b""
        if not keeps:
            headers = {name: value for name, value in headers.items() if name.title() != "Content-Type"}
        return Request(url, method, host, headers, body)

    def _url(self, base: Url, location: str) -> Url:
        joined = urljoin(str(base), location.partition("#")[0].strip())
        try:
            return Url.of(_quoted(joined))
        except ValueError:
            raise ProbeFailure(
                "redirects", f"redirected to what is no http URL: {location[:200]!r}"
            ) from None

    def _remember(self, host: str, head: Head) -> None:
        for written in head.values("set-cookie"):
            if len(written) > LONGEST_COOKIE:
                continue
            try:
                found = SimpleCookie(written)
            except CookieError:
                continue
            kept = self._cookies.setdefault(host, {})
            for name, morsel in found.items():
                if len(kept) < MOST_COOKIES or name in kept:
                    kept[name] = morsel.coded_value


def _quoted(url: str) -> str:
    """Characters that do not belong into a URL, as percent signs: servers send them all the same."""
    return "".join(
        char
        if 32 < ord(char) < 127 and char not in '"<>\\^`{|}'
        else "".join(f"%{byte:02X}" for byte in char.encode())
        for char in url
    )
