"""One device read through one module by way of pysnmp: every poll walks, column by column.

The tables go to the same translator as those of our own engine, so the series are the same.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Sequence

from sentinel.collect.collector import PollError
from sentinel.collect.snmp import ber, errors, message
from sentinel.collect.snmp.collector import DEFAULT_PORT, Shared
from sentinel.collect.snmp.conversation import PROBE_WAIT, Probe
from sentinel.collect.snmp.message import Access
from sentinel.collect.snmp.plan import Part, Plan
from sentinel.collect.snmp.port import SockAddress
from sentinel.collect.snmp.pysnmp_engine import Answer, AskError, Kind, PysnmpEngines, PysnmpSession
from sentinel.collect.snmp.translate import translated, unread_metrics
from sentinel.collect.snmp.walk import MAX_ROWS, NO_SUCH_NAME, TOO_BIG, Walk, chunks, halves
from sentinel.config.auth import SnmpAuth
from sentinel.model.batch import EMPTY_LAYOUT, Layout, Reading

MARGIN = 0.05
"""Share of the timeout kept for what follows the last answer."""

_LARGEST_GET = 20


class PysnmpCollector:
    """Collector of one target and SNMP module.

    Args:
        access: asks a silent host whether it refuses; holds no secret of version 3.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        *,
        auth: SnmpAuth,
        access: Access,
        plan: Plan,
        shared: Shared,
        engines: PysnmpEngines,
    ) -> None:
        self._host, self._port = host, port or DEFAULT_PORT
        self._auth, self._access, self._plan = auth, access, plan
        self._shared, self._engines = shared, engines
        self._device = shared.device(host, self._port)
        self._interfaces = self._device.interfaces if shared.keeps_numbers else None
        self._layout: Layout = EMPTY_LAYOUT
        self.values_read = 0
        """Values that the last poll gave."""

    async def poll(self, *, at: float, timeout: float) -> Reading:
        """One poll; what a deadline cut off is named in the reading.

        Raises:
            PollError: timeout, refused, unreachable, malformed, auth or error_status: nothing could be read.
        """
        deadline = asyncio.get_running_loop().time() + timeout * (1 - MARGIN)
        address = await self._resolve(timeout)
        module = self._plan.module
        session = PysnmpSession(
            self._engines,
            self._auth,
            address,
            timeout=min(module.timeout, timeout * (1 - MARGIN) / (module.retries + 1)),
            retries=module.retries,
        )
        walk = Walk(self._plan, self._device, self._access)
        reader = _Reader(walk, session, address)
        try:
            async with asyncio.timeout_at(deadline):
                await reader.read_all()
        except TimeoutError:
            reader.cut_off()
        except AskError as error:
            raise self._silence(error, timeout) from None
        finally:
            self._shared.metrics.requests.inc(session.sent)
            self._shared.metrics.walks.inc()
        if not session.has_heard:
            raise self._silence(AskError("timeout"), timeout)
        if walk.unread and not any(walk.tables.values()):
            raise errors.refusal(self._where, walk, version=self._auth.version, timeout=timeout)
        return await self._reading(walk)

    async def close(self) -> None:
        self._shared.layouts.release(self._layout)
        self._layout = EMPTY_LAYOUT

    async def _reading(self, walk: Walk) -> Reading:
        self.values_read = sum(map(len, walk.tables.values()))
        found = await translated(self._plan, self._interfaces, walk.tables, walk.unread)
        self._layout = self._shared.layouts.exchange(self._layout, found.series, self._plan.families)
        unread = unread_metrics(self._plan, walk.unread) | found.twice
        reasons = set(walk.unread.values()) | ({"duplicate"} if found.twice else set())
        return Reading(self._layout, found.values(walk.tables), unread, tuple(sorted(reasons)))

    def _silence(self, error: AskError, timeout: float) -> PollError:
        return errors.silence(
            self._where, error.reason, error.report, version=self._auth.version, timeout=timeout
        )

    @property
    def _where(self) -> str:
        return errors.place_of(self._host, self._port)

    async def _resolve(self, patience: float) -> SockAddress:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):
            text = f"cannot find the address of {self._host}: check the name and the name server"
            raise PollError("unreachable", text) from None
        match found[0][4]:
            case (str(host), int(port)):
                return host, port
            case (str(host), int(port), int(flow), int(scope)):
                return host, port, flow, scope
        raise PollError("unreachable", "the address is neither IPv4 nor IPv6")


class _Reader:
    """Reads everything a plan names into a walk."""

    def __init__(self, walk: Walk, session: PysnmpSession, address: SockAddress) -> None:
        self._walk, self._plan, self._session, self._address = walk, walk.plan, session, address
        plan = walk.plan
        self._waiting = Counter(part.column for part in (*plan.singles, *plan.parts))
        """Column → how many parts of it are still to be read."""
        self._waiting.update(column for column, _ in plan.gets)
        walk.tables.update((column, {}) for column in range(len(plan.columns)))

    async def read_all(self) -> None:
        """
        Raises:
            AskError: nothing at all was answered, or the user is refused.
        """
        for items in chunks(self._plan.gets, _LARGEST_GET):
            await self._get(items)
            self._waiting.subtract(column for column, _ in items)
        for part in self._plan.singles:
            await self._once(part)
            self._waiting[part.column] -= 1
        for part in self._plan.parts:
            await self._column(part)
            self._waiting[part.column] -= 1

    def cut_off(self) -> None:
        """The deadline has come."""
        for column, parts in self._waiting.items():
            if parts:
                self._walk.give_up(column, "timeout")

    async def _ask(
        self, columns: Sequence[int], kind: Kind, oids: Sequence[bytes], repetitions: int = 0
    ) -> Answer | None:
        """None: no answer, and the columns are given up for it."""
        question = self._session.ask(kind, oids, repetitions=repetitions)
        try:
            if self._session.has_heard:
                return await question
            return await self._or_refused(question, oids)
        except AskError as error:
            if error.reason == "auth" or not self._session.has_heard:
                raise
            for column in columns:
                self._walk.give_up(column, error.reason)
            return None

    async def _or_refused(self, question: Awaitable[Answer], oids: Sequence[bytes]) -> Answer:
        """The first answer; where it is long in coming, find out whether the host refuses."""
        asking = asyncio.ensure_future(question)
        probe: Probe | None = None
        try:
            await asyncio.wait((asking,), timeout=PROBE_WAIT)
            if not asking.done():
                probe = Probe(self._address, message.get_next(self._walk.access, oids[:1]))
                await asyncio.wait((asking,), timeout=PROBE_WAIT)
            if probe is not None and not asking.done() and (reason := probe.verdict()):
                raise AskError(reason)
            return await asking
        finally:
            asking.cancel()
            if probe is not None:
                probe.close()

    async def _get(self, items: Sequence[tuple[int, bytes]]) -> None:
        oids = [self._walk.oid(*item) for item in items]
        answer = await self._ask([column for column, _ in items], "get", oids)
        if answer is None:
            return
        if answer.status:
            await self._get_others(items, answer)
            return
        for (column, _), asked, (oid, tag, content) in zip(items, oids, answer.binds, strict=False):
            if oid == asked and tag not in ber.EXCEPTIONS:
                self._walk.note(column, oid, tag, content)

    async def _get_others(self, items: Sequence[tuple[int, bytes]], answer: Answer) -> None:
        """Without the one the agent points at, which is not there (version 1) or cannot be read."""
        at = answer.index - 1
        if len(items) > 1 and (answer.status == TOO_BIG or not 0 <= at < len(items)):
            for half in halves(items):
                await self._get(half)
            return
        at = max(min(at, len(items) - 1), 0)
        if answer.status != NO_SUCH_NAME:
            self._walk.refuse(items[at][0], answer.status)
        rest = [*items[:at], *items[at + 1 :]]
        if rest:
            await self._get(rest)

    async def _once(self, part: Part) -> None:
        answer = await self._ask([part.column], "get_next", [part.root])
        if answer is not None and not self._has_ended(part, answer):
            self._keep(part, answer, ())

    async def _column(self, part: Part) -> None:
        """Walk a column to its end."""
        is_v1 = self._walk.version_one()
        repetitions = 1 if is_v1 else max(self._plan.module.max_repetitions, 1)
        last = part.root
        numbers: tuple[int, ...] = ()
        while True:
            kind: Kind = "get_next" if is_v1 else "get_bulk"
            answer = await self._ask([part.column], kind, [last], repetitions)
            if answer is None:
                return
            if answer.status == TOO_BIG and repetitions > 1:
                repetitions //= 2
                continue
            if self._has_ended(part, answer):
                return
            found = self._keep(part, answer, numbers)
            if found is None:
                return
            last, numbers = found

    def _has_ended(self, part: Part, answer: Answer) -> bool:
        if answer.status == NO_SUCH_NAME and self._walk.version_one():
            return True
        if answer.status:
            reason = "too_big" if answer.status == TOO_BIG else ""
            if reason:
                self._walk.give_up(part.column, reason)
            else:
                self._walk.refuse(part.column, answer.status)
            return True
        if not answer.binds:
            self._walk.give_up(part.column, "malformed")
            return True
        return False

    def _keep(
        self, part: Part, answer: Answer, numbers: tuple[int, ...]
    ) -> tuple[bytes, tuple[int, ...]] | None:
        """Where to go on from; None: the column has ended.

        Args:
            numbers: those of the last row's suffix, below the part's root; empty: there was none.
        """
        walk, column = self._walk, part.column
        last = part.root
        for oid, tag, content in answer.binds:
            if tag in ber.EXCEPTIONS or not oid.startswith(part.root):
                return None
            after = ber.oid_numbers(oid[len(part.root) :])
            if numbers and not self._goes_on(column, oid, after, numbers):
                walk.give_up(column, "not_increasing")
                return None
            if len(walk.tables[column]) >= MAX_ROWS:
                walk.give_up(column, "too_many")
                return None
            last, numbers = oid, after
            walk.note(column, oid, tag, content)
        return last, numbers

    def _goes_on(self, column: int, oid: bytes, after: tuple[int, ...], before: tuple[int, ...]) -> bool:
        """Whether the OID is a new one; a module may allow that they come in any order."""
        if not self._plan.module.allow_nonincreasing_oids:
            return after > before
        return oid[len(self._plan.columns[column].oid) :] not in self._walk.tables[column]
