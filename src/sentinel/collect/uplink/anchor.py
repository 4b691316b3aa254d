"""Anchors: asked by the probes that targets are asked by."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from sentinel.collect.collector import PollError
from sentinel.collect.probes.driver import ProbeDriver
from sentinel.collect.probes.format import HttpSettings, IcmpSettings, TcpSettings
from sentinel.collect.probes.modules import ProbeModule, What
from sentinel.config.uplink import anchor_address
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

_HOW: Mapping[str, What] = {
    "tcp": TcpSettings(preferred_ip_protocol="ip4"),
    "icmp": IcmpSettings(preferred_ip_protocol="ip4"),
    # Whatever the server thinks of the question: it has been reached.
    "http": HttpSettings(
        preferred_ip_protocol="ip4",
        valid_status_codes=tuple(range(100, 600)),
        follow_redirects=False,
        method="HEAD",
    ),
}
_MODULES = {name: ProbeModule(name, name, "", 0.0, how, Path()) for name, how in _HOW.items()}


class Anchors:
    """To be closed."""

    def __init__(self, written: Sequence[str], *, timeout: float, clock: Clock) -> None:
        """
        Args:
            timeout: seconds that each has to answer.
        """
        self.names = tuple(written)
        self._timeout = timeout
        self._clock = clock
        self._failed = frozenset[str]()
        """Those that could not be asked the last time."""

    @cached_property
    def _driver(self) -> ProbeDriver:
        return ProbeDriver(_MODULES, clock=self._clock)

    async def ask(self) -> Mapping[str, bool | None]:
        """Whether each answers; None: it cannot be asked at all."""
        found = dict(zip(self.names, await asyncio.gather(*map(self._ask, self.names)), strict=True))
        self._failed = frozenset(name for name, answers in found.items() if answers is None)
        return found

    async def close(self) -> None:
        if "_driver" in self.__dict__:
            await self._driver.close()

    async def _ask(self, name: str) -> bool | None:
        at = anchor_address(name)
        target = Target(f"uplink anchor {name}", at.host, at.port, modules=(at.kind,), url=at.url)
        collector = self._driver.open(target, at.kind)
        try:
            reading = await collector.poll(at=self._clock.now(), timeout=self._timeout)
        except PollError as error:
            if name not in self._failed:
                log.error("uplink anchor cannot be asked", extra={"facts": {"anchor": name, "reason": error}})
            return None
        finally:
            await collector.close()
        return not reading.reasons
