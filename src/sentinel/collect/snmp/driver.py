"""The SNMP driver: opens collectors, and owns what they share (sockets, layouts, what is known of devices)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from prometheus_client import CollectorRegistry

from sentinel.collect.collector import Collector
from sentinel.collect.snmp.collector import DEFAULT_PORT, Shared, SnmpCollector
from sentinel.collect.snmp.filters import FilteredCollector
from sentinel.collect.snmp.layouts import Layouts
from sentinel.collect.snmp.message import Access, Community
from sentinel.collect.snmp.metrics import SnmpMetrics
from sentinel.collect.snmp.modules import SnmpModule
from sentinel.collect.snmp.numbers import InterfaceNumbers
from sentinel.collect.snmp.on_demand import CountingCollector, OnDemand, Scrape
from sentinel.collect.snmp.plan import Plan, plan_of
from sentinel.collect.snmp.port import Ports
from sentinel.collect.snmp.pysnmp_collector import PysnmpCollector
from sentinel.collect.snmp.pysnmp_engine import PysnmpEngines
from sentinel.collect.snmp.usm.engine import Engine
from sentinel.collect.snmp.usm.keys import Keyring, User
from sentinel.collect.snmp.usm.session import Session
from sentinel.config.auth import SnmpAuth, SshAuth
from sentinel.config.secret import Secret
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

IMPLICIT_AUTH = SnmpAuth(kind="snmp", version=2, community=Secret("public"))
"""Used where a target names no SNMP auth."""


class SnmpDriver:
    """Reads targets over SNMP.

    Args:
        modules: by name.
        auths: every [auth.NAME], of all kinds.
        registry: where the engine's own metrics go.
        numbers: by which the interfaces of devices are known; without it from now on.
    """

    def __init__(
        self,
        modules: Mapping[str, SnmpModule],
        auths: Mapping[str, SnmpAuth | SshAuth],
        *,
        clock: Clock,
        registry: CollectorRegistry,
        numbers: InterfaceNumbers | None = None,
    ) -> None:
        self._modules, self._auths = modules, auths
        self._plans: dict[str, tuple[SnmpModule, Plan]] = {}
        metrics = SnmpMetrics(registry)
        self._keyring = Keyring()
        self._pysnmp = PysnmpEngines()
        self._shared = Shared(
            Ports(metrics), Layouts(), metrics, clock, numbers=numbers or InterfaceNumbers()
        )
        self._on_demand = OnDemand(clock, metrics)

    def open(self, target: Target, module: str) -> Collector:
        """
        Raises:
            KeyError: there is no such module.
        """
        return self._open(target, self._modules[module], self._shared)

    async def scrape(self, target: Target, module: str, *, context: str = "", timeout: float) -> Scrape:
        """One poll on demand, with the series exactly as snmp_exporter names them.

        Args:
            context: context (v3) in place of the auth's.
        Raises:
            KeyError: there is no such module.
            PollError: nothing could be read.
        """
        wanted = self._modules[module]
        if context:
            wanted = replace(wanted, snmp_context=context)
        proof = tuple(self._auths.get(name) for name in target.auths)

        def open_apart(metrics: SnmpMetrics) -> CountingCollector:
            apart = replace(self._shared, metrics=metrics, layouts=Layouts(), keeps_numbers=False)
            return self._open(target, wanted, apart)

        key = (target.host, target.port, module, target.auths, context)
        return await self._on_demand.scrape(key, (wanted, proof), open_apart, timeout=timeout)

    def _open(self, target: Target, wanted: SnmpModule, shared: Shared) -> CountingCollector:
        known = self._plans.get(wanted.name)
        if known is None or known[0] != wanted:
            known = self._plans[wanted.name] = (wanted, plan_of(wanted))
        auth = self._auth(target, wanted)

        def collector(plan: Plan) -> CountingCollector:
            if auth.engine == "pysnmp":
                return self._by_pysnmp(target, auth, plan, shared)
            return SnmpCollector(target.host, target.port, self._access(target, auth), plan, shared)

        return FilteredCollector(wanted, collector) if wanted.filters else collector(known[1])

    def _auth(self, target: Target, module: SnmpModule) -> SnmpAuth:
        auths = (self._auths.get(name) for name in target.auths)
        implicit = module.auth or IMPLICIT_AUTH
        auth = next((auth for auth in auths if isinstance(auth, SnmpAuth)), implicit)
        return auth.model_copy(update={"context_name": module.snmp_context}) if module.snmp_context else auth

    def _access(self, target: Target, auth: SnmpAuth) -> Access:
        if auth.version != 3:
            return Community(auth.version, auth.community.reveal().encode())
        engine = self._shared.device(target.host, target.port or DEFAULT_PORT).engine
        return Session(User.of(auth), engine, self._keyring, self._shared.clock.monotonic)

    def _by_pysnmp(self, target: Target, auth: SnmpAuth, plan: Plan, shared: Shared) -> CountingCollector:
        nobody = Session(User(""), Engine(), self._keyring, shared.clock.monotonic)
        access = nobody if auth.version == 3 else self._access(target, auth)
        return PysnmpCollector(
            target.host,
            target.port,
            auth=auth,
            access=access,
            plan=plan,
            shared=shared,
            engines=self._pysnmp,
        )

    async def close(self) -> None:
        await self._on_demand.close()
        self._shared.ports.close()
        self._pysnmp.close()
