"""Takes our own secrets out of what a far side answers: some servers repeat the request in their errors."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import parse_qsl, unquote, urlsplit

HIDDEN = "***"
SHORTEST = 6
"""Characters; anything shorter would hide ordinary words."""


class Redaction:
    """
    Args:
        secrets: texts that no answer may show, in whatever part it repeats them.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in _parts(secret)}
        # The longest first, so that nothing of it is left beside a shorter part.
        self._parts = sorted((part for part in parts if len(part) >= SHORTEST), key=len, reverse=True)

    def of(self, text: str) -> str:
        for part in self._parts:
            text = text.replace(part, HIDDEN)
        return text


def _parts(secret: str) -> Iterable[str]:
    """The secret, and what of it may stand alone: words of a header, path and parameters of an address."""
    yield secret
    yield from secret.split()
    if "://" not in secret:
        return
    address = urlsplit(secret)
    yield f"{address.path}?{address.query}"
    for part in (address.path, address.query, address.username or "", address.password or ""):
        yield part
        yield unquote(part)
    yield from address.path.split("/")
    if address.username:
        # As it travels in an Authorization or Proxy-Authorization header.
        login = f"{unquote(address.username)}:{unquote(address.password or '')}"
        yield b64encode(login.encode()).decode()
    for _, value in parse_qsl(address.query):
        yield value
