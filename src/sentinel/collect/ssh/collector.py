"""One host read through one module: which sections are due, and what their texts say."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.assemble import Assembly, Layouts
from sentinel.collect.ssh.metrics import SshMetrics
from sentinel.collect.ssh.modules import Section, SshModule
from sentinel.collect.ssh.parsers import Part, Shapes
from sentinel.collect.ssh.script import Reply
from sentinel.collect.ssh.session import Failure, Result
from sentinel.model.batch import Reading
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

_REST_FIRST = 30.0
_REST_LONGEST = 600.0
"""Seconds for which a section that got stuck is left alone: each try may leave a process behind on the host."""
_SLACK = 1.0
"""Seconds by which a section may run early, so that ticks that come a little soon do not skip it."""
_MISSING = 127


class Runner(Protocol):
    """What runs sections on a host, by its shell or at its prompt."""

    async def run(self, sections: Sequence[Section], until: float) -> list[Result]:
        """One result per section, by that loop time.

        Raises:
            PollError: there is no way in.
        """
        ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class _State:
    """A section between polls. Instants are monotonic."""

    section: Section
    part: Part | None = None
    """What it gave last; none once it fails."""
    names: frozenset[str] = field(default_factory=frozenset)
    ran_at: float = -np.inf
    rests_until: float = -np.inf
    strikes: int = 0
    reason: str = ""
    """Why it gives nothing at present."""
    duration: float = 0.0

    def is_due(self, now: float) -> bool:
        if now < self.rests_until:
            return False
        return self.part is None or now - self.ran_at >= self.section.every - _SLACK


class SshCollector:
    """See the protocol Collector."""

    def __init__(
        self,
        name: str,
        module: SshModule,
        session: Runner,
        *,
        shapes: Shapes,
        layouts: Layouts,
        clock: Clock,
        metrics: SshMetrics,
    ) -> None:
        """`shapes` and `layouts` are shared by all hosts."""
        self._name = name
        self.session = session
        self._shapes = shapes
        self._clock = clock
        self._metrics = metrics
        self._states = [_State(section, names=section.parser.names) for section in module.sections]
        self._assembly = Assembly([section.parser for section in module.sections], layouts)

    async def poll(self, *, at: float, timeout: float) -> Reading:
        until = asyncio.get_running_loop().time() + timeout - min(0.5, timeout * 0.1)
        now = self._clock.monotonic()
        due = [state for state in self._states if state.is_due(now)] or self._states[:1]
        results = await self.session.run([state.section for state in due], until)
        for state, result in zip(due, results, strict=True):
            self._take(state, result, now)
        return self._reading(due)

    async def close(self) -> None:
        await self.session.close()

    def _take(self, state: _State, result: Result, now: float) -> None:
        reason, lost = "", frozenset[str]()
        if isinstance(result, Failure):
            reason = result.reason
            state.duration = 0.0
        else:
            reason, lost = self._parse(state, result)
            state.duration = result.duration
        if reason != state.reason:
            self._tell(state, reason)
        state.reason = reason
        if not reason:
            state.strikes, state.ran_at = 0, now
            return
        self._metrics.failed_sections.labels(reason).inc()
        if not lost:
            state.part = None
        if reason in ("stuck", "too_large"):
            state.rests_until = now + min(_REST_FIRST * 2.0**state.strikes, _REST_LONGEST)
            state.strikes = min(state.strikes + 1, 16)

    def _parse(self, state: _State, reply: Reply) -> tuple[str, frozenset[str]]:
        """Why the reply is not whole, and which metrics an incomplete one lost."""
        last = state.part.shape if state.part is not None else None
        part = self._shapes.read(state.section.parser, reply.output, last)
        is_new = part.shape is not last
        if is_new:
            self._metrics.parsed.inc()
        found_something = any(part.shape.success.values())
        if not found_something and reply.status != 0:
            return ("missing" if reply.status == _MISSING else "failed"), frozenset()
        state.part = part
        if is_new and reply.status != 0 and last is not None and last.names - part.shape.names:
            return "cut_short", last.names - part.shape.names
        state.names = part.shape.names or state.section.parser.names
        return "", frozenset()

    def _tell(self, state: _State, reason: str) -> None:
        facts = {"target": self._name, "section": state.section.name}
        if reason:
            log.warning("section not read", extra={"facts": facts | {"reason": reason}})
        else:
            log.info("section read again", extra={"facts": facts | {"reason": state.reason}})

    def _reading(self, due: Sequence[_State]) -> Reading:
        parts = [state.part for state in self._states]
        failed = [state for state in self._states if state.reason]
        if all(part is None for part in parts):
            reason = failed[0].reason if failed else "nothing"
            raise PollError(reason, f"{self._name}: no section could be read: {reason}")
        layout, values = self._assembly.of(parts, [state.duration for state in self._states])
        read = frozenset[str]().union(*(part.shape.names for part in parts if part is not None))
        unread = (
            frozenset[str]().union(*(state.names for state in failed)) - read if failed else frozenset[str]()
        )
        reasons = tuple(sorted({state.reason for state in failed}))
        return Reading(layout, values, unread, reasons)
