"""What every probe needs beside its own settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.collect.probes.echo import Echoes
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.findings import Findings
from sentinel.collect.probes.format import Reaching
from sentinel.collect.probes.resolve import Address, Policy, Resolver, anywhere, choose
from sentinel.runtime.clock import Clock


@dataclass(frozen=True, slots=True)
class Place:
    """What is probed."""

    host: str
    port: int | None = None
    url: str = ""
    """The whole URL, where the address is one; host and port are its."""

    @property
    def own_port(self) -> int | None:
        """A port that is meant for the protocol asked: a URL's is the web server's."""
        return None if self.url else self.port


@dataclass(frozen=True, slots=True)
class Around:
    """One probe's surroundings."""

    place: Place
    clock: Clock
    resolver: Resolver
    echoes: Echoes
    policy: Policy = anywhere
    findings: Findings = field(default_factory=Findings)

    async def address(self, reaching: Reaching) -> Address:
        """The target's address, with the series that tell of it.

        Raises:
            ProbeFailure: there is none, or it may not be used.
        """
        return await choose(
            self.resolver,
            self.place.host,
            preferred=reaching.preferred_ip_protocol,
            fallback=reaching.ip_protocol_fallback,
            clock=self.clock,
            findings=self.findings,
            policy=self.policy,
        )

    def need_port(self) -> int:
        """
        Raises:
            ProbeFailure: the address has none, and no URL says which one it is.
        """
        if self.place.port is not None:
            return self.place.port
        if self.place.url:
            return 443 if self.place.url.startswith("https:") else 80
        raise ProbeFailure("no_port", f"{self.place.host}: this module needs an address with a port")
