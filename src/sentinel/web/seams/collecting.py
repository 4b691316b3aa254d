"""What the web asks about polling: what is polled, and polls on demand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Protocol

from sentinel.collect.probes.resolve import Policy
from sentinel.collect.snmp.on_demand import Scrape
from sentinel.collect.watch import PollStatus
from sentinel.model.batch import Reading
from sentinel.model.target import Target


class Fleet(Protocol):
    """What is polled."""

    def status(self) -> Sequence[PollStatus]: ...


@dataclass(frozen=True, slots=True)
class OnDemandRules:
    """What may be polled on demand, by the configuration in force."""

    targets: Sequence[Target] = ()
    networks: Sequence[IPv4Network | IPv6Network] = ()
    """Where any address may be polled."""
    modules: Collection[str] = ()
    """SNMP modules."""
    auths: Collection[str] = ()
    """SNMP auths."""


class OnDemand(Protocol):
    """SNMP polls on demand."""

    def rules(self) -> OnDemandRules: ...

    async def scrape(self, target: Target, module: str, /, *, context: str, timeout: float) -> Scrape:
        """One poll. Raises: PollError: nothing could be read."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeRules:
    """What may be probed on demand, by the configuration in force."""

    targets: Sequence[Target] = ()
    networks: Sequence[IPv4Network | IPv6Network] = ()
    """Where other addresses may be probed too."""
    probers: Mapping[str, str] = field(default_factory=dict)
    """The prober of each probe module."""


class Probing(Protocol):
    """Probes on demand."""

    def rules(self) -> ProbeRules: ...

    async def probe(self, target: Target, module: str, /, *, policy: Policy, timeout: float) -> Reading:
        """One probe; one that fails is a reading too. Raises: PollError: it could not be made."""
        ...
