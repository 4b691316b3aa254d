"""The sweep: every address is asked for its system group, with each auth in turn, at a bounded rate.

Source: SNMPv2-MIB (RFC 3418) for sysDescr, sysObjectID and sysName; SNMP-FRAMEWORK-MIB (RFC 3411) for snmpEngineID.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sentinel.collect.collector import Collector, Driver, PollError
from sentinel.collect.snmp.modules import SnmpModule, parse_modules
from sentinel.config.document import Document
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

MODULE: Final = "discovery"
"""Name of the module that the sweep reads with; the driver must know it."""

MAX_TEXT: Final = 200
"""Characters kept of what a device says of itself."""

LARGE: Final = 1 << 16
"""Addresses beyond which a sweep wants to be confirmed."""
LARGEST: Final = 1 << 20

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_ASKED = {
    "sysDescr": "1.3.6.1.2.1.1.1",
    "sysObjectID": "1.3.6.1.2.1.1.2",
    "sysName": "1.3.6.1.2.1.1.5",
    "snmpEngineID": "1.3.6.1.6.3.10.2.1.1",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A device that answered. Its texts are data: bounded, otherwise as they came."""

    host: str
    port: int
    auth: str
    """Name of the [auth.NAME] that it answered; empty: version 2c with "public"."""
    name: str
    description: str
    object_id: str
    engine: str = ""
    """In hexadecimal: the same for all addresses of a device."""
    same_as: str = ""
    """Another address at which the same device has been found."""


def discovery_module() -> SnmpModule:
    """What the sweep reads."""
    metrics = [
        {"name": name, "oid": oid, "type": "OctetString" if name == "snmpEngineID" else "DisplayString"}
        for name, oid in _ASKED.items()
    ]
    gets = [f"{oid}.0" for oid in _ASKED.values()]
    written = {MODULE: {"get": gets, "metrics": metrics, "retries": 1}}
    return parse_modules(Document(MODULE, {"modules": written}))[MODULE]


def networks_of(written: Iterable[str]) -> list[Network]:
    """Networks without overlaps.

    Raises:
        ValueError: not a network or an address.
    """
    found: list[Network] = []
    for text in written:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ValueError(f"not a network: {text!r} (write 192.0.2.0/24)") from None
    four = [one for one in found if isinstance(one, ipaddress.IPv4Network)]
    six = [one for one in found if isinstance(one, ipaddress.IPv6Network)]
    return [*ipaddress.collapse_addresses(four), *ipaddress.collapse_addresses(six)]


def count_of(networks: Iterable[Network]) -> int:
    """How many addresses of devices they hold at most."""
    return sum(network.num_addresses for network in networks)


class Pace:
    """So many starts a second, evenly spread."""

    def __init__(self, rate: float, clock: Clock) -> None:
        self._step, self._clock = 1 / rate, clock
        self._next = clock.monotonic()

    async def turn(self) -> None:
        """Wait for the next start."""
        now = self._clock.monotonic()
        at, self._next = max(self._next, now), max(self._next, now) + self._step
        if at > now:
            await self._clock.sleep(at - now)


class Sweep:
    """Asks addresses.

    Args:
        driver: reads over SNMP, with the auths and `discovery_module()` known to it.
        auths: names to try, in this order; an empty name is version 2c with "public".
        rate: requests begun a second, an auth on an address counting as one.
        timeout: seconds for one auth on one address, a repetition included.
    """

    def __init__(
        self,
        driver: Driver,
        auths: Sequence[str],
        *,
        clock: Clock,
        port: int = 161,
        rate: float = 100.0,
        concurrency: int = 200,
        timeout: float = 2.0,
    ) -> None:
        self._driver, self._auths, self._clock = driver, auths, clock
        self._port, self._timeout, self._concurrency = port, timeout, concurrency
        self._pace = Pace(rate, clock)

    async def run(
        self,
        networks: Iterable[Network],
        told: Callable[[], None] = lambda: None,
        *,
        without: Sequence[Network] = (),
    ) -> list[Found]:
        """Every device that answers, in the order of the addresses.

        Args:
            told: called for each address that is done.
            without: addresses that are not asked.
        """
        addresses = (
            str(address)
            for network in networks
            for address in _hosts(network)
            if not any(address in other for other in without)
        )
        found: list[Found] = []

        async def work() -> None:
            for address in addresses:  # shared: each takes the next
                one = await self._ask(address)
                if one is not None:
                    found.append(one)
                told()

        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(work())
        ordered = sorted(found, key=lambda one: (":" in one.host, ipaddress.ip_address(one.host).packed))
        return _joined(ordered)

    async def _ask(self, address: str) -> Found | None:
        for auth in self._auths:
            await self._pace.turn()
            target = Target(address, address, self._port, (MODULE,), (auth,) if auth else ())
            collector = self._driver.open(target, MODULE)
            try:
                reading = await self._read(collector)
            except PollError as error:
                if error.reason in ("refused", "unreachable"):
                    return None  # nobody there: another auth changes nothing
            else:
                return _found(address, self._port, auth, reading)
            finally:
                await collector.close()
        return None

    async def _read(self, collector: Collector) -> Reading:
        try:
            async with asyncio.timeout(self._timeout):
                return await collector.poll(at=self._clock.now(), timeout=self._timeout)
        except TimeoutError:
            raise PollError("timeout") from None


def _hosts(network: Network) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    return iter(network.hosts())


def _found(host: str, port: int, auth: str, reading: Reading) -> Found:
    said = {labels.name: labels.get(labels.name, "")[:MAX_TEXT] for labels in reading.layout.series}
    return Found(
        host,
        port,
        auth,
        name=said.get("sysName", ""),
        description=said.get("sysDescr", ""),
        object_id=said.get("sysObjectID", ""),
        engine=said.get("snmpEngineID", ""),
    )


def _joined(found: Iterable[Found]) -> list[Found]:
    """A device found at several addresses is marked from its second one on."""
    first: dict[tuple[str, str], str] = {}
    joined = []
    for one in found:
        # The name as well: machines copied from one image may share an engine id.
        before = first.setdefault((one.engine, one.name), one.host) if one.engine else one.host
        joined.append(replace(one, same_as=before if before != one.host else ""))
    return joined
