"""Short messages: by an HTTP gateway, or by a program that drives a local modem."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from sentinel.config.receivers.base import FOR_PEOPLE, Cap, Headers, HttpReceiver
from sentinel.config.receivers.local import Argv
from sentinel.config.secret import Secret
from sentinel.model.pattern import Pattern

Number = Annotated[str, StringConstraints(pattern=r"^\+?[0-9]{3,15}$")]
"""E.164 with or without the plus, or a short code. Source: ITU-T E.164 §6: at most 15 digits."""


def _pattern(written: str) -> str:
    Pattern.of(written)
    return written


class SmsSettings(HttpReceiver):
    """A [[receiver]] of kind sms: short messages, the essential first."""

    kind: Literal["sms"]
    cap: Cap = FOR_PEOPLE
    to: tuple[Number, ...] = Field(min_length=1, max_length=50)
    """Phone numbers, such as "+8613800138000"."""
    parts: int = Field(default=1, ge=1, le=10)
    """How many short messages one text may fill (70 characters with Chinese, 160 without;
    67 and 153 each where there are several)."""
    url: Secret | None = None
    """The gateway's address; {{ .Number }} and {{ .Text }} in path or query are filled in, encoded."""
    method: Literal["GET", "POST", "PUT"] = "POST"
    """How the gateway is asked."""
    body: Secret | None = None
    """What is sent; {{ .Number }} and {{ .Text }} are filled in, encoded as content_type asks; may be a secret."""
    content_type: Literal[
        "application/json", "application/x-www-form-urlencoded", "text/plain", "application/xml"
    ] = "application/json"
    """What the body is."""
    headers: Headers = Field(default_factory=dict)
    """Further request headers, such as Authorization."""
    success: Annotated[str, AfterValidator(_pattern)] = ""
    """Regular expression that a good answer contains; without it any 2xx is good."""
    command: Argv = ()
    """In place of url: a program and its arguments that sends one message; {number} and {text} are filled in,
    the text is on standard input too; [notify] has to allow the program."""

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: Secret | None) -> Secret | None:
        if url is not None:
            try:
                parts = urlsplit(url.reveal())
                usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
            except ValueError:
                usable = False
            if not usable or not url.reveal().isprintable():
                raise ValueError("not an http:// or https:// address")
            if "{" in parts.netloc:
                raise ValueError("the host is fixed: templates belong into path and query")
        return url

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if (self.url is None) == (not self.command):
            raise ValueError("give url (a gateway) or command (a local modem)")
        if self.url is not None and self.method != "GET" and self.body is None:
            raise ValueError(f"method {self.method} needs body")
        written = f"{self.url.reveal() if self.url else ''}{self.body.reveal() if self.body else ''}"
        for field in (".Number", ".Text") if self.url is not None else ():
            if field not in written:
                raise ValueError(f"neither url nor body carries {{{{ {field} }}}}")
        if self.command and not any("{number}" in word for word in self.command):
            raise ValueError("command carries no {number}")
        return self
