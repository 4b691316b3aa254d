"""[traps]: SNMP notifications."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from sentinel.config.address import split_listen
from sentinel.config.document import Written


def _network(written: Any) -> IPv4Network | IPv6Network:
    try:
        return written if isinstance(written, IPv4Network | IPv6Network) else ip_network(str(written))
    except ValueError:
        raise ValueError(f'not a network: {written!r} (write "192.0.2.0/24" or "2001:db8::/32")') from None


Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]


class TrapsSettings(Written):
    """[traps]: notifications that devices send by themselves (SNMP traps and informs)."""

    listen: str = ""
    """IP address and UDP port, such as "0.0.0.0:162"; empty: none, or the socket that systemd passes."""
    allow: tuple[Network, ...] = ()
    """Networks that may send besides the addresses of targets; they need `auth`."""
    auth: tuple[str, ...] = ()
    """Names of [auth.NAME] that any sender may use, besides those of the target it is."""
    rate: int = Field(default=50, ge=1, le=100_000)
    """Notifications a second from one sender, after a burst of ten times as many; what is more is dropped."""
    total_rate: int = Field(default=1000, ge=1, le=1_000_000)
    """The same for all senders together."""

    @field_validator("listen")
    @classmethod
    def _is_address(cls, written: str) -> str:
        if written:
            split_listen(written)
        return written

    @property
    def address(self) -> tuple[str, int] | None:
        return split_listen(self.listen) if self.listen else None
