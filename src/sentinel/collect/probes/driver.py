"""Probes as the poll loops see them. See the protocols Driver and Collector."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from sentinel.collect.collector import Collector, PollError
from sentinel.collect.probes.around import Around, Place
from sentinel.collect.probes.dns import probe_dns
from sentinel.collect.probes.echo import Echoes
from sentinel.collect.probes.failure import ProbeFailure
from sentinel.collect.probes.findings import Layouts
from sentinel.collect.probes.format import (
    DnsSettings,
    GrpcSettings,
    HttpSettings,
    IcmpSettings,
    NtpSettings,
    TcpSettings,
    TlsSettings,
)
from sentinel.collect.probes.grpc import probe_grpc
from sentinel.collect.probes.http import probe_http
from sentinel.collect.probes.icmp import probe_icmp
from sentinel.collect.probes.modules import ProbeModule
from sentinel.collect.probes.ntp import probe_ntp
from sentinel.collect.probes.resolve import Policy, Resolver, anywhere
from sentinel.collect.probes.tcp import probe_tcp
from sentinel.collect.probes.tls import Trust
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

Ask = Callable[[Around], Awaitable[None]]


class ProbeCollector:
    """Asks one target in one way. A probe that fails is a sample; only one that could not be made is not."""

    def __init__(self, target: Target, module: ProbeModule, ask: Ask, driver: ProbeDriver) -> None:
        self._target = target
        self._module = module
        self._ask = ask
        self._driver = driver
        self._reason = ""
        """Of the last probe: each change is told once."""

    async def poll(self, *, at: float, timeout: float) -> Reading:
        patience = min(timeout, self._module.timeout or timeout)
        around = self._driver.around(self._target)
        started = around.clock.monotonic()
        failure: ProbeFailure | None = None
        try:
            async with asyncio.timeout(patience):
                await self._ask(around)
        except TimeoutError:
            failure = ProbeFailure("timeout", f"not done within {patience:g} s")
        except ProbeFailure as found:
            failure = found
        around.findings.set("probe_duration_seconds", around.clock.monotonic() - started)
        around.findings.set("probe_success", int(failure is None))
        reason, text = (failure.reason, _one_line(failure.text)) if failure is not None else ("", "")
        self._tell(reason, text)
        return around.findings.reading(self._driver.layouts, reason, text)

    async def close(self) -> None:
        return None

    def _tell(self, reason: str, text: str) -> None:
        if reason == self._reason:
            return
        facts = {"target": self._target.name, "module": self._module.name}
        if reason:
            log.warning("probe failed", extra={"facts": {**facts, "reason": reason, "detail": text}})
        else:
            log.info("probe succeeds again", extra={"facts": facts})
        self._reason = reason


class ProbeDriver:
    """Owns what probes share: look-ups, sockets for echo requests, TLS contexts, layouts."""

    def __init__(self, modules: Mapping[str, ProbeModule], *, clock: Clock) -> None:
        self._modules = modules
        self._clock = clock
        self._resolver = Resolver()
        self._echoes = Echoes(clock)
        self._asks: dict[str, tuple[ProbeModule, Ask]] = {}
        self.layouts = Layouts()

    def open(self, target: Target, module: str, *, policy: Policy = anywhere) -> Collector:
        found = self._modules.get(module)
        if found is None:
            raise PollError("module", f"there is no probe module '{module}'")
        known = self._asks.get(module)
        if known is None or known[0] is not found:
            known = self._asks[module] = (found, _ask(found))
        ask = known[1] if policy is anywhere else partial(_held_to, policy, known[1])
        return ProbeCollector(target, found, ask, self)

    def around(self, target: Target) -> Around:
        place = Place(target.host, target.port, target.url)
        return Around(place, self._clock, self._resolver, self._echoes)

    async def close(self) -> None:
        self._resolver.close()
        self._echoes.close()


def _one_line(text: str) -> str:
    """What a target said may stand in it."""
    return " ".join(text.split())[:500]


async def _held_to(policy: Policy, ask: Ask, around: Around) -> None:
    await ask(Around(around.place, around.clock, around.resolver, around.echoes, policy, around.findings))


def _ask(module: ProbeModule) -> Ask:
    """What the prober of a module needs, made once: TLS contexts are dear."""
    settings = module.settings
    if isinstance(settings, HttpSettings):
        alpn = ("h2", "http/1.1") if settings.enable_http2 else ("http/1.1",)
        trust = Trust(settings.tls_config, module.folder, alpn=alpn)
        return partial(probe_http, settings, trust, module.folder)
    if isinstance(settings, IcmpSettings):
        return partial(probe_icmp, settings)
    if isinstance(settings, NtpSettings):
        return partial(probe_ntp, settings)
    if isinstance(settings, GrpcSettings):
        return partial(probe_grpc, settings, Trust(settings.tls_config, module.folder, alpn=("h2",)))
    trust = Trust(
        settings.tls_config if isinstance(settings, TcpSettings | DnsSettings) else TlsSettings(),
        module.folder,
    )
    if isinstance(settings, DnsSettings):
        return partial(probe_dns, settings, trust)
    return partial(probe_tcp, settings, trust)
