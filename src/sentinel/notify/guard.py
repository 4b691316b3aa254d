"""Where receivers may connect to: decided on the address that is then connected to, so that no name can lie."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import httpcore

from sentinel.collect.probes.policy import METADATA

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class ForbiddenError(OSError):
    """The address lies where receivers may not send."""


class Guard:
    """
    Args:
        networks: the only ones that may be sent into; empty: anywhere but link-local, multicast and nowhere
            addresses, and cloud metadata.
    """

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self.networks = tuple(networks)

    @property
    def is_narrow(self) -> bool:
        """There is a list of networks."""
        return bool(self.networks)

    def allows(self, address: Address) -> bool:
        inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None) or address
        if self.networks:
            return any(inner.version == network.version and inner in network for network in self.networks)
        return not (
            inner.is_link_local or inner.is_multicast or inner.is_unspecified or str(inner) in METADATA
        )

    def check(self, host: str) -> None:
        """
        Raises:
            ForbiddenError: the host is an address that may not be sent to; names are looked up when it is time.
        """
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return
        if not self.allows(address):
            raise ForbiddenError(f"{host} lies where receivers may not send (see [notify] networks)")

    async def addresses(self, host: str, port: int) -> list[str]:
        """Addresses of a host that may be connected to, in the system's order.

        Raises:
            ForbiddenError: it has none such.
            OSError: it has none at all.
        """
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        known = dict.fromkeys(str(entry[4][0]) for entry in found)
        allowed = [text for text in known if self.allows(ipaddress.ip_address(text.partition("%")[0]))]
        if not allowed:
            raise ForbiddenError(f"{host} lies where receivers may not send (see [notify] networks)")
        return allowed


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connections of the HTTP client, each to an address that the guard has seen."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._guard.addresses(host, port)
        except OSError as error:
            text = str(error) if isinstance(error, ForbiddenError) else error.strerror or str(error)
            raise httpcore.ConnectError(text) from None
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)
