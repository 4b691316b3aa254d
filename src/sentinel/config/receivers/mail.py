"""Email."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from sentinel.config.receivers.base import FOR_PEOPLE, Cap, Receiver
from sentinel.config.secret import Secret


def _mail_address(written: str) -> str:
    _, address = parseaddr(written)
    user, at, host = address.rpartition("@")
    if not (user and at and host) or not written.isprintable() or not address.isascii() or " " in address:
        raise ValueError(f"not a mail address: {written!r}")
    return written


MailAddress = Annotated[str, AfterValidator(_mail_address)]


class EmailSettings(Receiver):
    """A [[receiver]] of kind email: text and HTML, one thread per incident."""

    kind: Literal["email"]
    cap: Cap = FOR_PEOPLE
    to: tuple[MailAddress, ...] = Field(min_length=1, max_length=100)
    """Who gets it, as a list of addresses."""
    from_: MailAddress = Field(alias="from")
    """Sender's address; may carry a name: "Sentinel <sentinel@example.org>"."""
    smarthost: str = Field(min_length=1, max_length=260)
    """Mail server as HOST:PORT (25 or 587 with starttls, 465 with tls)."""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is protected; "none" only for a server on this machine or a trusted wire."""
    username: str = ""
    """User at the mail server, if it asks for one."""
    password: Secret | None = None
    """Password at the mail server."""
    chart: bool = True
    """Show in the HTML part what the alert's expression read around the moment, as a picture; not in texts of your
    own."""
    ca_file: str | None = None
    """PEM file of certificate authorities to trust in place of the system's."""

    @field_validator("smarthost")
    @classmethod
    def _is_host_and_port(cls, written: str) -> str:
        split_smarthost(written)
        return written

    @model_validator(mode="after")
    def _protects_the_password(self) -> Self:
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password belong together")
        if self.password and self.tls == "none":
            raise ValueError('a password is not sent in the clear: use tls = "starttls" or "tls"')
        return self


def split_smarthost(written: str) -> tuple[str, int]:
    """Host and port of a mail server.

    Raises:
        ValueError: not HOST:PORT.
    """
    host, _, port = written.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or any(char.isspace() or char in "/@" for char in host) or not port.isdecimal():
        raise ValueError(f'not a mail server: {written!r} (write "mail.example.org:587")')
    if not 0 < int(port) <= 65535:
        raise ValueError(f"not a port: {port}")
    return host, int(port)
