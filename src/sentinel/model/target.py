"""Targets: what is watched, as people wrote it down."""

from __future__ import annotations

from dataclasses import dataclass, field

from sentinel.model.batch import Source
from sentinel.model.labels import EMPTY, Labels


@dataclass(frozen=True, slots=True)
class Hop:
    """A host on the way to others."""

    host: str
    port: int | None = None
    """None: 22."""
    auth: str = ""
    """Name of the [auth.NAME] to log in there with; empty: that of the target behind."""
    host_key: str = ""
    """As a target's."""


@dataclass(frozen=True, slots=True)
class Target:
    """One server or device. `instance` of its series is its name."""

    name: str
    host: str
    """Address or host name, without the port; "localhost" with module `local` needs no network."""
    port: int | None = None
    """None: the protocol's own (161, 22)."""
    modules: tuple[str, ...] = ()
    auths: tuple[str, ...] = ()
    """Names of [auth.NAME]; each module takes the first of its own kind."""
    host_key: str = ""
    """Pinned SSH host key: "SHA256:…" or an OpenSSH public key line; empty: known_hosts decides."""
    jump: tuple[Hop, ...] | None = None
    """Hosts to go through, nearest first; None: as the auth says."""
    labels: Labels = EMPTY
    interval: float = 60.0
    """Seconds between polls."""
    timeout: float = 10.0
    """Seconds that one poll may take; at most the interval."""
    criticality: int = 3
    """1 (least) to 5 (the service stops without it)."""
    owner: str = ""
    team: str = ""
    parents: tuple[str, ...] = ()
    """Targets on the way to this one: reachable while any one of them is."""
    url: str = ""
    """The whole URL, where the address is one: for probes."""
    origin: str = field(default="", compare=False)
    """file:line where it was declared."""

    def source(self, module: str) -> Source:
        labels = self.labels.updated({"instance": self.name, "job": module})
        return Source(self.name, module, labels, self.interval)

    def sources(self) -> tuple[Source, ...]:
        return tuple(self.source(module) for module in self.modules)
