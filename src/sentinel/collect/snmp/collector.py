"""One device read through one module: walks it once, then repeats the script that the walk gave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sentinel.collect.collector import PollError
from sentinel.collect.snmp import errors
from sentinel.collect.snmp.conversation import Conversation
from sentinel.collect.snmp.device import Device
from sentinel.collect.snmp.layouts import Layouts
from sentinel.collect.snmp.message import Access
from sentinel.collect.snmp.metrics import SnmpMetrics
from sentinel.collect.snmp.numbers import InterfaceNumbers
from sentinel.collect.snmp.plan import Plan
from sentinel.collect.snmp.port import Ports, SockAddress
from sentinel.collect.snmp.script import Chunk, Replay, Script, script_of
from sentinel.collect.snmp.translate import Translation, Translator, families_of, unread_metrics
from sentinel.collect.snmp.walk import Knock, Tables, Walk
from sentinel.model.batch import EMPTY_LAYOUT, STALE, Floats, Layout, Reading
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


@dataclass(frozen=True, slots=True)
class _Gather:
    """How the values of a layout come out of a script's cells."""

    cells: NDArray[np.intp]
    constant: NDArray[np.bool_]
    constants: Floats
    scales: Floats | None
    """None: no metric of the module is scaled or shifted."""
    offsets: Floats

    def values(self, cells: Floats, lost: Iterable[Chunk]) -> Floats:
        values: Floats = cells[self.cells]
        if self.scales is not None:
            values = values * self.scales + self.offsets
        np.copyto(values, self.constants, where=self.constant)
        for chunk in lost:
            taken = chunk.cells
            values[(self.cells >= taken.start) & (self.cells < taken.stop)] = STALE
        return values


class SnmpCollector:
    """Collector of one target and SNMP module."""

    def __init__(self, host: str, port: int | None, access: Access, plan: Plan, shared: Shared) -> None:
        self._host, self._port = host, port or DEFAULT_PORT
        self._access, self._plan, self._shared = access, plan, shared
        self._device = shared.device(host, self._port)
        interfaces = self._device.interfaces if shared.keeps_numbers else None
        self._translator, self._families = Translator(plan, interfaces), families_of(plan)
        self._layout: Layout = EMPTY_LAYOUT
        self._script: Script | None = None
        self._gather: _Gather | None = None
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
        return len(self._script.cells) if self._script is not None else 0

    async def close(self) -> None:
        self._shared.layouts.release(self._layout)
        self._layout, self._script, self._gather = EMPTY_LAYOUT, None, None

    # The two ways to poll

    async def _repeat(
        self, script: Script, conversation: Conversation, deadline: float, timeout: float
    ) -> Reading:
        replay = Replay(script, self._device)
        await conversation.run(replay.asks(), deadline)
        replay.finish()
        if replay.malformed:
            self._shared.metrics.malformed.inc(replay.malformed)
        if not conversation.has_heard:
            raise self._silence(conversation, timeout)
        unread = replay.failed | dict.fromkeys(replay.changed, "changed")
        lost = replay.lost
        if unread and asyncio.get_running_loop().time() < deadline:
            if replay.failed and conversation.trouble != "auth":
                self._device.shrink()
            columns = self._with_tables(unread)
            walk = await self._walked(conversation, deadline, columns, script.tables())
            if not walk.unread:
                return self._rewrite(walk.tables)
            if set(walk.unread.values()) != {"timeout"}:
                return self._partial(walk)
            # Out of time: the rows known before stay, what was not read of them is stale.
            unread = walk.unread | dict.fromkeys(columns, "timeout")
            lost = [chunk for chunk in script.chunks if not columns.isdisjoint(chunk.columns)]
        elif not unread:
            self._device.went_well()
        if replay.is_relabelled or self._gather is None:
            self._label(script, self._translator.translate(script.tables()))
        reading = self._reading(script, lost, unread)
        if self._device.budget != script.budget and not unread:
            self._rewrite(script.tables())
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
        return self._partial(walk) if walk.unread else self._rewrite(walk.tables)

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

    def _rewrite(self, tables: Tables) -> Reading:
        """A new script for these rows, and the reading they give."""
        script = script_of(self._plan, tables, self._device, self._access)
        self._script = script
        self._label(script, self._translator.translate(tables))
        return self._reading(script, (), {})

    def _label(self, script: Script, translation: Translation) -> None:
        places = script.places()
        self._layout = self._shared.layouts.exchange(self._layout, translation.series, self._families)
        self._twice = frozenset(translation.twice)
        is_constant = [value is not None for value in translation.constants]
        is_scaled = set(translation.scales) | {1.0} != {1.0} or any(translation.offsets)
        self._gather = _Gather(
            np.array([places[key] for key in translation.keys], np.intp),
            np.array(is_constant, np.bool_),
            np.array([value or 0.0 for value in translation.constants], np.float64),
            np.array(translation.scales) if is_scaled else None,
            np.array(translation.offsets) if is_scaled else np.empty(0),
        )

    def _reading(self, script: Script, lost: Iterable[Chunk], failed: Mapping[int, str]) -> Reading:
        assert self._gather is not None
        values = self._gather.values(script.cells, lost)
        if not failed and not self._twice:
            return Reading(self._layout, values)
        unread = unread_metrics(self._plan, failed) | self._twice
        reasons = set(failed.values()) | ({"duplicate"} if self._twice else set())
        return Reading(self._layout, values, unread, tuple(sorted(reasons)))

    def _partial(self, walk: Walk) -> Reading:
        """What a walk got before it was cut off: rows whose labels are known. The next poll walks again."""
        self._script = self._gather = None
        translation = self._translator.translate(walk.tables, walk.unread)
        self._layout = self._shared.layouts.exchange(self._layout, translation.series, self._families)
        values = np.empty(len(translation.series))
        for number, ((column, suffix), constant) in enumerate(
            zip(translation.keys, translation.constants, strict=True)
        ):
            content = walk.tables[column][suffix][1]
            sample = float(content) if isinstance(content, float) else 0.0
            scaled = sample * translation.scales[number] + translation.offsets[number]
            values[number] = scaled if constant is None else constant
        unread = unread_metrics(self._plan, walk.unread) | translation.twice
        reasons = set(walk.unread.values()) | ({"duplicate"} if translation.twice else set())
        return Reading(self._layout, values, unread, tuple(sorted(reasons)))

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
