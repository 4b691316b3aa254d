"""[uplink]: what is asked whether Sentinel itself is cut off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from sentinel.config.address import split_address
from sentinel.config.document import Written
from sentinel.config.types import PositiveDuration

Kind = Literal["tcp", "icmp", "http"]


@dataclass(frozen=True, slots=True)
class AnchorAddress:
    kind: Kind
    host: str
    port: int | None = None
    url: str = ""
    """The whole URL, for http."""


def anchor_address(written: str) -> AnchorAddress:
    """
    Raises:
        ValueError: not tcp://HOST:PORT, icmp://HOST, http://… or https://….
    """
    scheme, _, rest = written.partition("://")
    if scheme in ("http", "https"):
        parts = urlsplit(written)
        if not parts.hostname or parts.username or not written.isprintable() or " " in written:
            raise ValueError(f"not an address to ask: {written!r}")
        return AnchorAddress(
            "http", parts.hostname, parts.port or (443 if scheme == "https" else 80), written
        )
    if scheme == "tcp":
        host, port = split_address(rest)
        if port is None:
            raise ValueError(f"{written!r} needs a port: tcp://HOST:PORT")
        return AnchorAddress("tcp", host, port)
    if scheme == "icmp":
        host, port = split_address(rest)
        if port is not None:
            raise ValueError(f"{written!r}: there are no ports in ICMP")
        return AnchorAddress("icmp", host)
    raise ValueError(f"not an anchor: {written!r} (write tcp://HOST:PORT, icmp://HOST or https://HOST/)")


def _is_anchor(written: str) -> str:
    anchor_address(written)
    return written


class UplinkSettings(Written):
    """[uplink]: whether Sentinel's own way out works, asked before targets are called down."""

    anchors: tuple[Annotated[str, AfterValidator(_is_anchor)], ...] = Field(default=(), max_length=16)
    """Places that answer while the uplink works: "tcp://192.0.2.1:443", "icmp://192.0.2.1", "https://example.org/";
    better addresses than names. Without any the uplink is not checked."""
    every: PositiveDuration = 30.0
    """Time between two rounds while nothing happens; a target that stops answering brings one at once."""
    failures: int = Field(default=2, ge=1, le=10)
    """Rounds in a row in which no anchor answers before the uplink counts as down, and in which one does before it
    counts as up again."""
    timeout: PositiveDuration = 3.0
    """How long an anchor has to answer; at most 10s."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not 1 <= self.every <= 3600:
            raise ValueError("every: must be between 1s and 1h")
        if self.timeout > 10:
            raise ValueError("timeout: at most 10s")
        if twice := next((one for one in self.anchors if self.anchors.count(one) > 1), ""):
            raise ValueError(f"anchors: {twice!r} is given twice")
        return self
