"""Jump hosts: the way to hosts that are only reached through others, as OpenSSH's ProxyJump."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from sentinel.config.address import split_address
from sentinel.config.document import Written
from sentinel.model.target import Hop


class JumpSettings(Written):
    """One entry of `jump`: a host on the way."""

    address: str = Field(min_length=1, max_length=255)
    """HOST or HOST:PORT of the jump host."""
    auth: str = ""
    """Name of the [auth.NAME] to log in there with; without it the auth that leads to the target behind."""
    host_key: str = ""
    """Pinned host key of the jump host; without it the known_hosts file of the auth used there decides."""

    @field_validator("address")
    @classmethod
    def _is_host(cls, address: str) -> str:
        split_address(address)
        return address

    @property
    def hop(self) -> Hop:
        host, port = split_address(self.address)
        return Hop(host, port, self.auth, self.host_key)


def _several(written: Any) -> Any:
    """Addresses become tables: ProxyJump's "a,b:2222", a list of addresses, tables, or a mixture."""
    if isinstance(written, str):
        written = [part.strip() for part in written.split(",")]
    if not isinstance(written, list | tuple):
        return written
    return tuple({"address": one} if isinstance(one, str) else one for one in written)


Jump = Annotated[tuple[JumpSettings, ...], BeforeValidator(_several), Field(max_length=8)]
