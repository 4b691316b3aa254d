"""Prober icmp: one echo request, one reply."""

from __future__ import annotations

from sentinel.collect.probes.around import Around
from sentinel.collect.probes.format import IcmpSettings

_DURATION = "probe_icmp_duration_seconds"


async def probe_icmp(settings: IcmpSettings, around: Around) -> None:
    """
    Raises:
        ProbeFailure: with the reason.
        PollError: the system lets the daemon send no echo requests.
    """
    findings = around.findings
    for phase in ("resolve", "setup", "rtt"):
        findings.set(_DURATION, 0, phase=phase)
    address = await around.address(settings)
    findings.set(_DURATION, findings.get("probe_dns_lookup_time_seconds") or 0.0, phase="resolve")
    echo = await around.echoes.ask(
        address,
        payload_size=settings.payload_size,
        ttl=settings.ttl,
        source=settings.source_ip_address,
        dont_fragment=settings.dont_fragment,
    )
    findings.set(_DURATION, echo.setup, phase="setup")
    findings.set(_DURATION, echo.rtt, phase="rtt")
    if echo.hop_limit is not None:
        findings.set("probe_icmp_reply_hop_limit", echo.hop_limit)
