"""All drivers together: from targets to watches that the poll loops can run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal, TypeVar

from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Driver
from sentinel.collect.local.driver import LocalDriver
from sentinel.collect.local.own import OwnDriver
from sentinel.collect.modules import Modules
from sentinel.collect.probes.driver import ProbeDriver
from sentinel.collect.probes.modules import ProbeModule
from sentinel.collect.probes.resolve import Policy
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.collect.snmp.numbers import InterfaceNumbers
from sentinel.collect.snmp.on_demand import Scrape
from sentinel.collect.ssh.driver import SshDriver
from sentinel.collect.ssh.modules import SshModule
from sentinel.collect.watch import Watch
from sentinel.config.auth import Auth, SshAuth
from sentinel.inventory.targets import Kind
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

T = TypeVar("T")

OWN = "sentinel"
"""Target and module of the daemon's own figures, so that rules can judge them."""

OWN_INTERVAL = 15.0


class Drivers:
    """Owns the drivers for as long as the daemon runs; a reload changes what they know, not the drivers."""

    def __init__(
        self,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        ssh_connects: int = 20,
        numbers: InterfaceNumbers | None = None,
    ) -> None:
        self._snmp_modules: dict[str, SnmpModule] = {}
        self._ssh_modules: dict[str, SshModule] = {}
        self._probe_modules: dict[str, ProbeModule] = {}
        self._auths: dict[str, Auth] = {}
        self._snmp = SnmpDriver(
            self._snmp_modules, self._auths, clock=clock, registry=registry, numbers=numbers
        )
        self._probes = ProbeDriver(self._probe_modules, clock=clock)
        self._drivers: dict[Kind | Literal["own"], Driver] = {
            "local": LocalDriver(clock=clock, registry=registry),
            "own": OwnDriver(registry),
            "probe": self._probes,
            "snmp": self._snmp,
            "ssh": SshDriver(
                self._ssh_modules, self._auths, clock=clock, registry=registry, max_connects=ssh_connects
            ),
        }

    def adopt(self, modules: Modules, auths: Mapping[str, Auth]) -> None:
        """Collectors opened from now on read with these; those that are open go on as they are."""
        _refill(self._snmp_modules, modules.snmp)
        _refill(self._ssh_modules, modules.ssh)
        _refill(self._probe_modules, modules.probes)
        _refill(self._auths, auths)

    def watches(
        self, targets: Iterable[Target], modules: Modules, auths: Mapping[str, Auth]
    ) -> Iterator[Watch]:
        """What to poll: every module of every target, and the daemon itself."""
        kinds = modules.kinds
        for target in targets:
            proof = tuple(auths[name] for name in target.auths)
            on_the_way = tuple(_of_jumps(target, proof, auths))
            for module in target.modules:
                kind = kinds[module]
                how = modules.snmp.get(module) or modules.ssh.get(module) or modules.probes.get(module)
                recipe = (kind, how, proof, on_the_way)
                open_ = partial(self._drivers[kind].open, target, module)
                yield Watch(target.source(module), target, recipe, open_)
        own = Target(OWN, "localhost", modules=(OWN,), interval=OWN_INTERVAL)
        yield Watch(own.source(OWN), own, OWN, partial(self._drivers["own"].open, own, OWN))

    async def scrape(self, target: Target, module: str, *, context: str = "", timeout: float) -> Scrape:
        """One SNMP poll on demand.

        Raises:
            KeyError: there is no such SNMP module.
            PollError: nothing could be read.
        """
        return await self._snmp.scrape(target, module, context=context, timeout=timeout)

    async def probe(self, target: Target, module: str, *, policy: Policy, timeout: float) -> Reading:
        """One probe on demand.

        Raises:
            PollError: it could not be made; one that fails is a reading.
        """
        collector = self._probes.open(target, module, policy=policy)
        return await collector.poll(at=0.0, timeout=timeout)

    async def close(self) -> None:
        for driver in self._drivers.values():
            await driver.close()


def _of_jumps(target: Target, proof: Sequence[Auth], auths: Mapping[str, Auth]) -> Iterator[Auth | None]:
    """What the target's jump hosts are logged in to with."""
    hops = list(target.jump or ())
    hops += [one.hop for auth in proof if isinstance(auth, SshAuth) for one in auth.jump]
    for hop in hops:
        if hop.auth:
            yield auths.get(hop.auth)


def _refill(kept: dict[str, T], new: Mapping[str, T]) -> None:
    kept.clear()
    kept.update(new)
