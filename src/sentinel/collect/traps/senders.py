"""Who may send notifications, as which target, how many, and with which community or user."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sentinel.collect.snmp.driver import IMPLICIT_AUTH
from sentinel.config.auth import Auth, SnmpAuth
from sentinel.config.traps import TrapsSettings
from sentinel.model.labels import EMPTY, Labels
from sentinel.model.target import Target

RESOLVE_EVERY = 300.0
"""Seconds for which the addresses of host names are used."""

BURST = 10
"""Seconds' worth of notifications that may come at once: a line card that fails reports all of its links."""

RESOLVED_AT_ONCE = 4
"""Look-ups under way: each takes a thread, which others want too."""

MAX_STRANGERS = 1000
"""Senders that are no targets, at most; the network in [traps] allow may be large."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True, eq=False)
class Sender:
    """One device that may send."""

    instance: str
    """Name of the target, else the address."""
    labels: Labels
    """The target's own labels."""
    modules: tuple[str, ...]
    """SNMP modules of the target: what a poll can read at once. Empty: no target, or not read over SNMP."""
    auths: tuple[SnmpAuth, ...]

    def takes(self, community: bytes) -> bool:
        """Whether one of its communities is this."""
        wanted = (auth.community.reveal().encode() for auth in self.auths if auth.version != 3)
        return any(hmac.compare_digest(one, community) for one in wanted)

    @property
    def users(self) -> tuple[SnmpAuth, ...]:
        """Of version 3, as far as the receiver can decrypt what they send."""
        return tuple(auth for auth in self.auths if auth.version == 3 and auth.priv_protocol != "3DES")


class Bucket:
    """So many a second, and a burst."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._left, self._at = rate, rate * BURST, now

    def take(self, now: float) -> bool:
        self._left = min(self._left + (now - self._at) * self._rate, self._rate * BURST)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass(slots=True)
class _Known:
    """What the configuration says, put in force as a whole."""

    settings: TrapsSettings
    targets: tuple[Target, ...]
    auths: Mapping[str, Auth]
    snmp: frozenset[str]
    """Names of SNMP modules."""


class Senders:
    """Answers for each datagram's source, from memory alone: looking at hostile ones costs next to nothing."""

    def __init__(self) -> None:
        self._known = _Known(TrapsSettings(), (), {}, frozenset())
        self._by_address: dict[Address, Sender] = {}
        self._resolved: dict[str, tuple[Address, ...]] = {}
        self._strangers: dict[Address, Sender] = {}
        self._buckets: dict[str, Bucket] = {}
        self._total: Bucket | None = None

    def adopt(
        self,
        settings: TrapsSettings,
        targets: Iterable[Target],
        auths: Mapping[str, Auth],
        snmp_modules: Iterable[str],
    ) -> None:
        """Put a configuration in force. Host names not seen before are known after the next `resolve`."""
        self._known = _Known(settings, tuple(targets), auths, frozenset(snmp_modules))
        self._strangers.clear()
        self._buckets.clear()
        self._total = None
        names = {target.host for target in self._known.targets}
        self._resolved = {name: found for name, found in self._resolved.items() if name in names}
        self._arrange()

    @property
    def instances(self) -> frozenset[str]:
        return frozenset(target.name for target in self._known.targets)

    def of(self, source: str) -> Sender | None:
        """The device that sends from this address; None: it may not send."""
        address = _address(source)
        if address is None:
            return None
        known = self._by_address.get(address) or self._strangers.get(address)
        if known is not None:
            return known
        if len(self._strangers) >= MAX_STRANGERS or not self._is_allowed(address):
            return None
        stranger = Sender(str(address), EMPTY, (), self._accepted(()))
        self._strangers[address] = stranger
        return stranger

    def behind(self, sender: Sender, agent: str) -> Sender:
        """The target that a sender forwards for; only one that is allowed by its network may do so."""
        address = _address(agent) if agent and sender.instance not in self.instances else None
        return self._by_address.get(address, sender) if address is not None else sender

    def may_send(self, sender: Sender, now: float) -> bool:
        """Whether its rate, and that of all together, allows one more.

        Args:
            now: monotonic seconds.
        """
        bucket = self._buckets.get(sender.instance)
        if bucket is None:
            bucket = self._buckets[sender.instance] = Bucket(self._known.settings.rate, now)
        if self._total is None:
            self._total = Bucket(self._known.settings.total_rate, now)
        return bucket.take(now) and self._total.take(now)

    async def resolve(self) -> None:
        """Look up the host names of targets; those that cannot be found keep the addresses they had."""
        turn = asyncio.Semaphore(RESOLVED_AT_ONCE)
        names = {target.host for target in self._known.targets if _address(target.host) is None}

        async def look_up(name: str) -> None:
            with contextlib.suppress(OSError, UnicodeError):
                async with turn:
                    found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_DGRAM)
                addresses = (_address(str(one[4][0])) for one in found)
                self._resolved[name] = tuple(address for address in addresses if address is not None)

        await asyncio.gather(*(look_up(name) for name in names))
        self._arrange()

    def _arrange(self) -> None:
        by_address: dict[Address, Sender] = {}
        # A device that is read over SNMP is meant before a server with the same address.
        ordered = sorted(self._known.targets, key=lambda target: not self._snmp_modules(target))
        for target in ordered:
            literal = _address(target.host)
            for address in self._resolved.get(target.host, ()) if literal is None else (literal,):
                if address not in by_address:
                    by_address[address] = self._sender(target)
        self._by_address = by_address

    def _sender(self, target: Target) -> Sender:
        return Sender(
            target.name,
            target.labels,
            self._snmp_modules(target),
            self._accepted(target.auths, is_target=True),
        )

    def _snmp_modules(self, target: Target) -> tuple[str, ...]:
        return tuple(module for module in target.modules if module in self._known.snmp)

    def _accepted(self, names: Sequence[str], *, is_target: bool = False) -> tuple[SnmpAuth, ...]:
        """Communities and users: the target's own, or public where it names none, and those for any sender."""
        own = [auth for name in names if isinstance(auth := self._known.auths.get(name), SnmpAuth)]
        if is_target and not own:
            own = [IMPLICIT_AUTH]
        shared = (self._known.auths.get(name) for name in self._known.settings.auth)
        return (*own, *(auth for auth in shared if isinstance(auth, SnmpAuth)))

    def _is_allowed(self, address: Address) -> bool:
        return any(
            address.version == network.version and address in network
            for network in self._known.settings.allow
        )


@lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    """An address; an IPv4 one also where a socket for both families writes it as ::ffff:192.0.2.1."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
