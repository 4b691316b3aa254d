"""An HTTP request and the head of its answer, whatever version they travel in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sentinel.collect.probes.failure import ProbeFailure
from sentinel.config.address import split_url

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """A URL taken apart."""

    scheme: str
    host: str
    port: int
    path: str
    """With the query; begins with a slash."""
    authority: str
    """Host and port as written."""

    @classmethod
    def of(cls, text: str) -> Url:
        """
        Raises:
            ValueError: not an http or https URL that can be asked for.
        """
        host, port = split_url(text)
        parts = urlsplit(text)
        scheme = parts.scheme.lower()
        path = parts.path or "/"
        if parts.query:
            path += f"?{parts.query}"
        return cls(scheme, host, port or _PORTS[scheme], path, parts.netloc)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class Request:
    url: Url
    method: str
    host: str
    """Value of the header Host."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names as HTTP/1.1 writes them."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers."""

    version: str
    """HTTP/1.0, HTTP/1.1 or HTTP/2.0."""
    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in small letters."""
    at: float
    """Monotonic seconds at which the answer began."""

    def values(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for known, value in self.headers if known == wanted]

    def get(self, name: str) -> str:
        return next(iter(self.values(name)), "")

    @property
    def content_length(self) -> int:
        """-1 where the answer does not say."""
        text = self.get("content-length").strip()
        return int(text) if text.isdecimal() and text.isascii() and len(text) < 19 else -1


def decoded(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1").lower(), _text(value)) for name, value in headers)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").strip()


def encoded(text: str) -> bytes:
    """
    Raises:
        ProbeFailure: a line break in what goes into one line.
    """
    if any(char in text for char in "\r\n\0"):
        raise ProbeFailure("protocol", "a header with a line break in it is not sent")
    return text.encode("utf-8", "replace")
