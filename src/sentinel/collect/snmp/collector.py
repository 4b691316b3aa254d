"""One device read through one module: walks it once, then repeats the script that the walk gave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sentinel.collect.collector import PollError
from sentinel.collect.snmp import errors
from sentinel.collect.snmp.conversation import Conversation
from sentinel.collect.snmp.device import Device
from sentinel.collect.snmp.gather import Gather
from sentinel.collect.snmp.layouts import Layouts
from sentinel.collect.snmp.message import Access
from sentinel.collect.snmp.metrics import SnmpMetrics
from sentinel.collect.snmp.numbers import InterfaceNumbers
from sentinel.collect.snmp.outline import Outline, Outlines, Request
from sentinel.collect.snmp.plan import Plan
from sentinel.collect.snmp.port import Ports, SockAddress
from sentinel.collect.snmp.script import Replay, Script, script_of
from sentinel.collect.snmp.translate import Translation, translated, unread_metrics
from sentinel.collect.snmp.walk import Knock, Tables, Walk
from sentinel.model.batch import EMPTY_LAYOUT, Floats, Layout, Reading
from sentinel.runtime.clock import Clock

DEFAULT_PORT = 161
RESOLVE_AGAIN = 300.0
"""Seconds for which the address of a host name is used."""

MEETINGS = 16
"""Devices that are walked for the first time at once."""

_MARGIN = 0.05
"""Share of the timeout kept for what follows the last answer."""


@dataclass(slots=True)
class Shared:
    """What all collectors of a driver share."""

    ports: Ports
    layouts: Layouts
    metrics: SnmpMetrics
    clock: Clock
    outlines: Outlines = field(default_factory=Outlines)
    devices: dict[tuple[str, int], Device] = field(default_factory=dict)
    meetings: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MEETINGS))
    """First polls under way: when all devices are new, some at a time get done, instead of all too late."""
    keeps_numbers: bool = True
    """Interfaces are shown by the number they were first seen by, not by the one they have now."""
    numbers: InterfaceNumbers = field(default_factory=InterfaceNumbers)

    def device(self, host: str, port: int) -> Device:
        """What is known of the agent at this address."""
        known = self.devices.get((host, port))
        if known is None:
            known = self.devices[host, port] = Device(interfaces=self.numbers.of(host, port))
        return known


class SnmpCollector:
    """Collector of one target and SNMP module."""

    def __init__(self, host: str, port: int | None, access: Access, plan: Plan, shared: Shared) -> None:
        self._host, self._port = host, port or DEFAULT_PORT
        self._access, self._plan, self._shared = access, plan, shared
        self._device = shared.device(host, self._port)
        self._interfaces = self._device.interfaces if shared.keeps_numbers else None
        self._layout: Layout = EMPTY_LAYOUT
        self._script: Script | None = None
        self._gather: Gather | None = None
        self._twice: frozenset[str] = frozenset()
        self._address: tuple[socket.AddressFamily, SockAddress] | None = None
        self._resolved_at = 0.0

    async def poll(self, *, at: float, timeout: float) -> Reading:
        """One poll; what a deadline cut off is named in the reading, with STALE in its place.

        Raises:
            PollError: timeout, refused, unreachable, malformed or error_status: nothing could be read.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout * (1 - _MARGIN)
        family, address = await self._resolve(deadline - loop.time())
        module = self._plan.module
        try:
            port = self._shared.ports.of(family)
        except OSError as error:
            raise PollError("unreachable", f"no socket for {self._where}: {error.strerror}") from None
        conversation = Conversation(
            port,
            address,
            self._access,
            self._shared.metrics,
            timeout=min(module.timeout, max(timeout * (1 - _MARGIN) / (module.retries + 1), 0.1)),
            retries=module.retries,
            window=self._device.window,
            any_source=module.use_unconnected_udp_socket,
        )
        if self._script is None:
            return await self._meet(conversation, deadline, timeout)
        return await self._repeat(self._script, conversation, deadline, timeout)

    @property
    def values_read(self) -> int:
        """Values that the last whole poll gave."""
        return self._script.outline.size if self._script is not None else 0

    async def close(self) -> None:
        self._shared.layouts.release(self._layout)
        self._layout = EMPTY_LAYOUT
        self._forget()

    # The two ways to poll

    async def _repeat(
        self, script: Script, conversation: Conversation, deadline: float, timeout: float
    ) -> Reading:
        replay = Replay(script, self._device)
        await conversation.run(replay.asks(), deadline)
        replay.finish()
        if replay.is_relabelled:
            self._gather = None
        if replay.malformed:
            self._shared.metrics.malformed.inc(replay.malformed)
        if not conversation.has_heard:
            raise self._silence(conversation, timeout)
        if conversation.has_repeated:
            self._device.lost_some()
        unread = replay.failed | dict.fromkeys(replay.changed, "changed")
        lost = replay.lost
        if unread and asyncio.get_running_loop().time() < deadline:
            if replay.failed and conversation.trouble != "auth":
                self._device.shrink()
            columns = self._with_tables(unread)
            walk = await self._walked(conversation, deadline, columns, script.tables(replay.cells))
            if not walk.unread:
                return await self._rewrite(walk.tables)
            if set(walk.unread.values()) != {"timeout"}:
                return await self._partial(walk)
            # Out of time: the rows known before stay, what was not read of them is stale.
            unread = walk.unread | dict.fromkeys(columns, "timeout")
            lost = [one for one in script.outline.requests if not columns.isdisjoint(one.columns)]
        elif not unread:
            self._device.went_well()
        if self._gather is None:
            self._label(script.outline, await self._translated(script.tables(replay.cells)))
        reading = self._reading(replay.cells, lost, unread)
        if self._device.limit != script.outline.limit and not unread:
            await self._rewrite(script.tables(replay.cells))
        return reading

    async def _meet(self, conversation: Conversation, deadline: float, timeout: float) -> Reading:
        """The first poll of a device: one that answers waits for its turn to be walked."""
        await conversation.run([Knock(self._plan, self._access)], deadline)
        if not conversation.has_heard:
            raise self._silence(conversation, timeout)
        try:
            async with asyncio.timeout_at(deadline):
                await self._shared.meetings.acquire()
        except TimeoutError:
            text = f"{self._where} was not asked within {timeout:g}s: too many devices are met for the first time"
            raise PollError("timeout", text) from None
        try:
            return await self._first(conversation, deadline, timeout)
        finally:
            self._shared.meetings.release()

    async def _first(self, conversation: Conversation, deadline: float, timeout: float) -> Reading:
        """Read everything, without knowing any rows."""
        walk = await self._walked(conversation, deadline, range(len(self._plan.columns)), {})
        if not conversation.has_heard:
            raise self._silence(conversation, timeout)
        if walk.unread and not any(walk.tables.values()):
            raise self._refusal(walk, timeout)
        return await (self._partial(walk) if walk.unread else self._rewrite(walk.tables))

    async def _walked(
        self, conversation: Conversation, deadline: float, columns: Iterable[int], known: Tables
    ) -> Walk:
        """A walk of columns whose rows are not known, beside what is known of the others."""
        self._shared.metrics.walks.inc()
        walk = Walk(self._plan, self._device, self._access, dict(known))
        await conversation.run(walk.asks(columns), deadline)
        return walk

    def _with_tables(self, columns: Iterable[int]) -> set[int]:
        """The columns, and all others of their tables: where a row has come, it has come in all of them."""
        wanted = set(columns)
        tables = {part.table for part in self._plan.parts if part.column in wanted}
        return wanted | {part.column for part in self._plan.parts if part.table in tables}

    # Readings

    async def _rewrite(self, tables: Tables) -> Reading:
        """A new script for these rows, and the reading they give."""
        outline = self._shared.outlines.take(self._plan, tables, self._device.limit, self._access)
        self._forget()
        self._script, cells = script_of(outline, tables)
        await asyncio.sleep(0)  # each step of a large device takes its time
        translation = await self._translated(tables)
        await asyncio.sleep(0)
        self._label(outline, translation)
        return self._reading(cells, (), {})

    def _forget(self) -> None:
        """Give up the script."""
        if self._script is not None:
            self._shared.outlines.release(self._script.outline)
        self._script = self._gather = None

    async def _translated(self, tables: Tables, without: Mapping[int, str] | None = None) -> Translation:
        return await translated(self._plan, self._interfaces, tables, without)

    def _label(self, outline: Outline, translation: Translation) -> None:
        families = self._plan.families
        self._layout = self._shared.layouts.exchange(self._layout, translation.series, families)
        self._twice = frozenset(translation.twice)
        self._gather = Gather.of(translation, outline.places())

    def _reading(self, cells: Floats, lost: Iterable[Request], failed: Mapping[int, str]) -> Reading:
        assert self._gather is not None
        values = self._gather.values(cells, [request.cells for request in lost])
        if not failed and not self._twice:
            return Reading(self._layout, values)
        unread = unread_metrics(self._plan, failed) | self._twice
        reasons = set(failed.values()) | ({"duplicate"} if self._twice else set())
        return Reading(self._layout, values, unread, tuple(sorted(reasons)))

    async def _partial(self, walk: Walk) -> Reading:
        """What a walk got before it was cut off: rows whose labels are known. The next poll walks again."""
        self._forget()
        translation = await self._translated(walk.tables, walk.unread)
        families = self._plan.families
        self._layout = self._shared.layouts.exchange(self._layout, translation.series, families)
        unread = unread_metrics(self._plan, walk.unread) | translation.twice
        reasons = set(walk.unread.values()) | ({"duplicate"} if translation.twice else set())
        return Reading(self._layout, translation.values(walk.tables), unread, tuple(sorted(reasons)))

    # Errors

    def _silence(self, conversation: Conversation, timeout: float) -> PollError:
        trouble, report = conversation.trouble, conversation.report
        return errors.silence(self._where, trouble, report, version=self._access.version, timeout=timeout)

    def _refusal(self, walk: Walk, timeout: float) -> PollError:
        return errors.refusal(self._where, walk, version=self._access.version, timeout=timeout)

    @property
    def _where(self) -> str:
        return errors.place_of(self._host, self._port)

    async def _resolve(self, patience: float) -> tuple[socket.AddressFamily, SockAddress]:
        now = self._shared.clock.monotonic()
        if self._address is not None and now - self._resolved_at < RESOLVE_AGAIN:
            return self._address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            if self._address is not None and not isinstance(error, TimeoutError):
                return self._address  # the name server is away; the device may well be where it was
            text = f"cannot find the address of {self._host}: check the name and the name server"
            raise PollError("unreachable", text) from None
        address = _sock_address(found[0][4])
        self._address, self._resolved_at = (found[0][0], address), now
        return self._address


def _sock_address(found: tuple[object, ...]) -> SockAddress:
    """What getaddrinfo found, in the form in which answers name their source."""
    match found:
        case (str(host), int(port)):
            return host, port
        case (str(host), int(port), int(flow), int(scope)):
            return host, port, flow, scope
    raise PollError("unreachable", "the address is neither IPv4 nor IPv6")
