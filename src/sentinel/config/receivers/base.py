"""What every kind of receiver may say, and what those that speak HTTP may say besides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from sentinel.config.document import Written
from sentinel.config.secret import Secret
from sentinel.config.types import PositiveDuration
from sentinel.model.durations import format_duration

LONGEST_SEND = 10.0
"""Seconds; no send may take longer, whatever the far side does."""

LONGEST_CAP = 3600.0
"""Seconds over which messages are counted."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = (
    "content-type",
    "content-length",
    "idempotency-key",
    "host",
    "transfer-encoding",
    "x-sentinel-signature",
)


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """Where a template's text is: written down in place, or a file's name relative to the configuration."""

    text: str = ""
    file: str = ""


def _template_source(written: Any) -> TemplateSource:
    if isinstance(written, TemplateSource):
        return written
    if isinstance(written, str):
        return TemplateSource(text=written)
    if not isinstance(written, dict) or set(written) != {"file"} or not isinstance(written["file"], str):
        raise ValueError('write the template itself, or {file = "…"}')
    return TemplateSource(file=written["file"])


Template = Annotated[TemplateSource, BeforeValidator(_template_source)]


class CapSettings(Written):
    """How many messages at most: what is more is put together into one."""

    messages: int = Field(ge=1, le=1000)
    """So many messages …"""
    per: PositiveDuration
    """… in any time as long as this."""

    @field_validator("per")
    @classmethod
    def _is_short(cls, seconds: float) -> float:
        if seconds > LONGEST_CAP:
            raise ValueError("at most 1h")
        return seconds

    def __str__(self) -> str:
        return f'{{messages = {self.messages}, per = "{format_duration(self.per)}"}}'


def _cap(written: Any) -> Any:
    return None if written == "none" else written


Cap = Annotated[CapSettings | None, BeforeValidator(_cap)]

FOR_PEOPLE = CapSettings.model_validate({"messages": 20, "per": "1m"})
"""As many as a person can read."""


class Receiver(Written):
    name: str = Field(min_length=1, max_length=200)
    """Unique name, which routes refer to."""
    send_resolved: bool = True
    """Tell the recovery to those who were told the alert."""
    send_acknowledged: bool = False
    """Tell also that somebody has taken the incident on."""
    concurrency: int = Field(default=4, ge=1, le=100)
    """How many messages may be on their way at the same time; also bounds repeats after a crash."""
    timeout: PositiveDuration = LONGEST_SEND
    """How long the far side has to answer; at most 10s."""
    language: Literal["en", "zh-CN"] | None = None
    """Language of the message; without it [daemon] language."""
    fallback: str = Field(default="", max_length=200)
    """Name of the receiver that is told instead, when this one refuses a message or does not take it in time."""
    fallback_after: PositiveDuration = 300.0
    """How long a message waits for this receiver before its fallback is told too; what is refused goes at once."""
    expires_after: PositiveDuration | None = None
    """An alert that has waited for this receiver for so long is not told any more, and neither is its end. Without
    it alerts wait for as long as it takes."""
    cap: Cap = None
    """How many messages it gets at most; when more wait, they are put together into one. "none": no bound."""
    templates: Mapping[str, Template] = Field(default_factory=dict)
    """Texts of your own in place of the shipped ones: NAME = "…" or {file = "…"}; docs/reference/receivers.md
    lists the names of each kind."""

    @field_validator("timeout")
    @classmethod
    def _is_short(cls, seconds: float) -> float:
        if seconds > LONGEST_SEND:
            raise ValueError("at most 10s")
        return seconds

    @model_validator(mode="after")
    def _has_a_fallback_to_wait_for(self) -> Self:
        if "fallback_after" in self.model_fields_set and not self.fallback:
            raise ValueError("fallback_after needs fallback")
        return self

    @field_validator("name")
    @classmethod
    def _is_one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("may not contain control characters")
        return name


def http_address(written: str) -> str:
    """An http or https address in one line.

    Raises:
        ValueError: anything else; the address itself is not repeated, as it may carry a token.
    """
    try:
        parts = urlsplit(written)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not written.isprintable() or " " in written:
        raise ValueError("not an http:// or https:// address")
    return written


def _http_secret(url: Secret) -> Secret:
    http_address(url.reveal())
    return url


HttpSecret = Annotated[Secret, AfterValidator(_http_secret)]
"""An http or https address that may carry a token."""

HttpAddress = Annotated[str, AfterValidator(http_address)]


def _header_value(text: str, name: str) -> None:
    if not text.isprintable() or not text.isascii():
        raise ValueError(f"the value of {name} must be plain text in one line")


def _safe_headers(headers: Mapping[str, Secret]) -> Mapping[str, Secret]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"not a header name: {name!r}")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"the header {name} is set by Sentinel")
        _header_value(value.reveal(), name)
    return headers


Headers = Annotated[Mapping[str, Secret], AfterValidator(_safe_headers)]


def _token(secret: Secret) -> Secret:
    text = secret.reveal()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a token is plain text in one word")
    return secret


Token = Annotated[Secret, AfterValidator(_token)]
"""A secret that becomes part of an address, a header or a field."""


class TlsReceiver(Receiver):
    ca_file: str | None = None
    """PEM file of certificate authorities to trust in place of the system's."""
    client_certificate: str | None = None
    """PEM file of the certificate that Sentinel shows to the far side; may hold its key too."""
    client_key: str | None = None
    """PEM file of that certificate's key, without a passphrase."""

    @model_validator(mode="after")
    def _has_key_and_certificate(self) -> Self:
        if self.client_key and not self.client_certificate:
            raise ValueError("client_key needs client_certificate")
        return self


class HttpReceiver(TlsReceiver):
    proxy: HttpSecret | None = None
    """HTTP proxy to go through, such as http://proxy.example.org:3128; may carry USER:PASSWORD@."""
