"""One host read through one module: which sections are due, and what their texts say."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sentinel.collect.collector import PollError
from sentinel.collect.ssh.assemble import Assembly, Layouts
from sentinel.collect.ssh.loans import lent
from sentinel.collect.ssh.metrics import SshMetrics
from sentinel.collect.ssh.modules import Section, SshModule
from sentinel.collect.ssh.parsers import Part, Shapes
from sentinel.collect.ssh.script import Reply
from sentinel.collect.ssh.session import Failure, Result
from sentinel.collect.ssh.shape import Shape
from sentinel.model.batch import Floats, Reading
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

_REST_FIRST = 30.0
_REST_LONGEST = 600.0
"""Seconds for which a section that got stuck is left alone: each try may leave a process behind on the host.
One that failed otherwise is left alone if it has an interval of its own, and for no longer than that."""
_SLACK = 1.0
"""Seconds by which a section may run early, so that ticks that come a little soon do not skip it."""
_MISSING = 127
_NOTHING = frozenset[str]()


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
class _Trouble:
    """Why a section gives nothing, or not all, at present."""

    reason: str
    names: frozenset[str]
    """Metrics that it gave before."""
    strikes: int = 0
    rests_until: float = -np.inf
    """Monotonic."""


@dataclass(slots=True)
class _State:
    """A section between polls. There are many of these: what is not needed until the next poll is not kept."""

    section: Section
    shape: Shape | None = None
    """Of what it gave last; none once it fails."""
    values: Floats | None = None
    """Beside it, kept while polls come at which it is not due."""
    ran_at: float = -np.inf
    """Monotonic."""
    trouble: _Trouble | None = None

    @property
    def names(self) -> frozenset[str]:
        """Metrics that it gives, or gave before it failed."""
        if self.trouble is not None:
            return self.trouble.names
        return (self.shape.names if self.shape is not None else None) or self.section.parser.names

    def is_due(self, now: float) -> bool:
        if self.trouble is not None and now < self.trouble.rests_until:
            return False
        return self.values is None or now - self.ran_at >= self.section.every - _SLACK

    def part(self) -> Part | None:
        if self.shape is None or self.values is None:
            return None
        part = Part(self.shape, self.values)
        if not self.section.every:
            self.values = None
        return part

    def rest(self, reason: str, now: float) -> None:
        """Fails for this reason, and is left alone for a while where trying again at once may do harm."""
        trouble = self.trouble
        if trouble is None:
            trouble = self.trouble = _Trouble(reason, self.names)
        trouble.reason = reason
        longest = (
            _REST_LONGEST if reason in ("stuck", "too_large") else min(self.section.every, _REST_LONGEST)
        )
        if longest:
            trouble.rests_until = now + min(_REST_FIRST * 2.0**trouble.strikes, longest)
            trouble.strikes = min(trouble.strikes + 1, 16)


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
        self._module = module
        self.session = session
        self._shapes = shapes
        self._clock = clock
        self._metrics = metrics
        self._states = [_State(section) for section in module.sections]
        self._durations = array("d", bytes(8 * len(self._states)))
        """Seconds that each section took."""
        self._assembly = Assembly([section.parser for section in module.sections], layouts)

    async def poll(self, *, at: float, timeout: float) -> Reading:
        until = asyncio.get_running_loop().time() + timeout - min(0.5, timeout * 0.1)
        now = self._clock.monotonic()
        due = [place for place, state in enumerate(self._states) if state.is_due(now)] or [0]
        sections = [self._states[place].section for place in due]
        replies = await self.session.run(sections, until)
        names = [section.name for section in sections]
        results = lent(self._module.sections, dict(zip(names, replies, strict=True)))
        for place, name in zip(due, names, strict=True):
            result = results[name]
            self._take(self._states[place], result, now)
            self._durations[place] = result.duration if isinstance(result, Reply) else 0.0
        return self._reading()

    async def close(self) -> None:
        await self.session.close()

    def _take(self, state: _State, result: Result, now: float) -> None:
        before = state.trouble.reason if state.trouble is not None else ""
        if isinstance(result, Failure):
            reason, part = result.reason, None
        else:
            reason, part = self._parse(state, result)
        if reason != before:
            self._tell(state, reason, before)
        if reason:
            self._metrics.failed_sections.labels(reason).inc()
            state.rest(reason, now)
        else:
            state.trouble, state.ran_at = None, now
        state.shape, state.values = (part.shape, part.values) if part is not None else (None, None)

    def _parse(self, state: _State, reply: Reply) -> tuple[str, Part | None]:
        """Why the reply is not whole, and what it says."""
        last = state.shape
        part = self._shapes.read(state.section.parser, reply.output, last)
        is_new = part.shape is not last
        if is_new:
            self._metrics.parsed.inc()
        found_something = any(part.shape.success.values())
        if not found_something and reply.status != 0:
            return ("missing" if reply.status == _MISSING else "failed"), None
        if is_new and reply.status != 0 and last is not None and last.names - part.shape.names:
            return "cut_short", part
        return "", part

    def _tell(self, state: _State, reason: str, before: str) -> None:
        facts = {"target": self._name, "section": state.section.name}
        if reason:
            log.warning("section not read", extra={"facts": facts | {"reason": reason}})
        else:
            log.info("section read again", extra={"facts": facts | {"reason": before}})

    def _reading(self) -> Reading:
        parts = [state.part() for state in self._states]
        troubled = [state.trouble for state in self._states if state.trouble is not None]
        if all(part is None for part in parts):
            reason = troubled[0].reason if troubled else "nothing"
            raise PollError(reason, f"{self._name}: no section could be read: {reason}")
        layout, values = self._assembly.of(parts, self._durations)
        read = frozenset[str]().union(*(part.shape.names for part in parts if part is not None))
        lost = (
            frozenset[str]().union(*(trouble.names for trouble in troubled)) - read if troubled else _NOTHING
        )
        reasons = tuple(sorted({trouble.reason for trouble in troubled}))
        return Reading(layout, values, lost, reasons)
