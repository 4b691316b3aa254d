"""What is told on this machine or in its log: programs and syslog."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from sentinel.config.address import split_address
from sentinel.config.document import Written
from sentinel.config.receivers.base import Receiver, TlsReceiver
from sentinel.config.traps import Network
from sentinel.config.types import Duration, PositiveDuration

Facility = Literal[
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
]


def _program(written: str) -> str:
    if not written.startswith("/") or ".." in written.split("/") or not written.isprintable():
        raise ValueError(f"not a program's whole path: {written!r}")
    return written


Program = Annotated[str, AfterValidator(_program)]


def _argv(written: tuple[str, ...]) -> tuple[str, ...]:
    if written:
        _program(written[0])
    if any("\0" in word for word in written):
        raise ValueError("arguments may not contain NUL")
    return written


Argv = Annotated[tuple[str, ...], AfterValidator(_argv)]
"""A program's whole path and its arguments; no shell reads them."""


class FlappingSettings(Written):
    """[notify.flapping]: what comes and goes is told once as that, and once when it has settled."""

    times: int = Field(default=6, ge=0, le=1000)
    """So many incidents of the same kind …; 0: each is told."""
    within: PositiveDuration = 3600.0
    """… opened within this time are told as one that flaps."""
    settle: PositiveDuration = 1800.0
    """It has settled when it did not open for so long."""

    @model_validator(mode="after")
    def _is_more_than_one(self) -> Self:
        if self.times == 1:
            raise ValueError("times: a single incident does not flap (0 switches it off)")
        return self


class NotifySettings(Written):
    """[notify]: what all receivers have in common."""

    networks: tuple[Network, ...] = ()
    """Networks that receivers may send into; empty: anywhere but link-local addresses and cloud metadata."""
    commands: bool = False
    """Receivers may start programs (kind command, and sms with command)."""
    programs: tuple[Program, ...] = ()
    """Whole paths of the programs that they may start."""
    silence_warn_share: float = Field(default=0.25, gt=0, le=1)
    """Who writes a silence that matches a greater share of the open alerts is warned."""
    silence_reminder: Duration = 900.0
    """How long before their end people are reminded of silences at least twice as long; "0": not at all."""
    flapping: FlappingSettings = FlappingSettings()
    """Incidents of the same kind that open `times` times `within` a while are told once as flapping, and once when
    none has opened for as long as `settle`; times = 0: each is told."""


class CommandSettings(Receiver):
    """A [[receiver]] of kind command: a program on this machine, which [notify] has to allow."""

    kind: Literal["command"]
    command: Argv = Field(min_length=1, max_length=100)
    """The program's whole path and its arguments; the facts are on its standard input, as JSON."""


def _syslog_address(written: str) -> str:
    if split_address(written)[1] is None:
        raise ValueError('a port is missing (write "log.example.org:6514")')
    return written


class SyslogSettings(TlsReceiver):
    """A [[receiver]] of kind syslog: RFC 5424 over UDP, TCP or TLS."""

    kind: Literal["syslog"]
    address: Annotated[str, AfterValidator(_syslog_address)]
    """The collector as HOST:PORT (514 for udp and tcp, 6514 for tls)."""
    transport: Literal["udp", "tcp", "tls"] = "tls"
    """How: udp is never answered, so a message may be lost unnoticed."""
    facility: Facility = "local0"
    """Syslog's facility."""
    hostname: str = Field(default="", pattern=r"^[!-~]{0,255}$")
    """HOSTNAME in the messages; empty: this machine's name."""
    app_name: str = Field(default="sentinel", pattern=r"^[!-~]{1,48}$")
    """APP-NAME in the messages."""
    enterprise: int = Field(default=32473, ge=1, le=4294967295)
    """Private enterprise number behind the structured data's name; 32473 is the one for examples."""
