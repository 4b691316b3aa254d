"""From a host to the one address a probe uses, and whether it may."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.findings import Findings
from sentinel.runtime.clock import Clock

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Policy = Callable[[Address], bool]
"""Whether an address may be connected to."""

AT_ONCE = 32
"""Look-ups under way: the system's resolver blocks a thread for each."""

_FAMILIES = {"ip4": socket.AF_INET, "ip6": socket.AF_INET6}
_OTHER = {"ip4": "ip6", "ip6": "ip4"}


def anywhere(address: Address) -> bool:
    """The operator's own targets may be anywhere."""
    return True


class Resolver:
    """The system's look-ups, in threads of their own so that a dead name server holds up nothing else."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def addresses(self, host: str, family: socket.AddressFamily) -> list[Address]:
        """Addresses of one family, in the system's order; none where there are none."""
        literal = _literal(host)
        if literal is not None:
            return [literal] if (literal.version == 6) == (family == socket.AF_INET6) else []
        if self._threads is None:
            self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="resolve")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _look_up, host, family)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


async def choose(
    resolver: Resolver,
    host: str,
    *,
    preferred: str,
    fallback: bool,
    clock: Clock,
    findings: Findings,
    policy: Policy,
) -> Address:
    """The address to use, with the series that tell of it.

    Raises:
        ProbeFailure: none, or it may not be used.
    """
    findings.set("probe_ip_protocol", 0)
    findings.set("probe_ip_addr_hash", 0)
    started = clock.monotonic()
    try:
        address = await _first(resolver, host, preferred, fallback)
    finally:
        findings.set("probe_dns_lookup_time_seconds", clock.monotonic() - started)
    if address is None:
        what = "" if fallback else f" of the kind {preferred}"
        raise ProbeFailure("resolve", f"{host} has no address{what}")
    findings.set("probe_ip_protocol", address.version)
    findings.set("probe_ip_addr_hash", _hash(address.packed))
    if not policy(address):
        raise ProbeFailure("forbidden", f"{host} is {address}, where probes from here may not go")
    return address


async def _first(resolver: Resolver, host: str, preferred: str, fallback: bool) -> Address | None:
    for protocol in (preferred, _OTHER[preferred]) if fallback else (preferred,):
        found = await resolver.addresses(host, _FAMILIES[protocol])
        if found:
            return found[0]
    return None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _look_up(host: str, family: socket.AddressFamily) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ipaddress.ip_address(place[4][0]) for place in found]


def _hash(packed: bytes) -> int:
    """FNV-1a with 32 bits. Source: draft-eastlake-fnv."""
    value = 0x811C9DC5
    for byte in packed:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value
