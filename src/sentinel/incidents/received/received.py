"""Alerts that others send: kept in memory as an Alertmanager does, and told to the ledger as rules tell theirs.

An alert is believed until its end. Its sender moves the end again and again; that alone is not written down each
time: the written end is never further from the true one than a restart grants anyway.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from prometheus_client import CollectorRegistry

from sentinel.incidents.received.metrics import ReceivedMetrics
from sentinel.incidents.received.posted import Held, InvalidAlertError, Posted, held, merged
from sentinel.model.alert import Alert, AlertChange, AlertState, Sent
from sentinel.model.labels import Labels
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

REALM: Final = "received"
"""Of fingerprints: an alert of ours with the same labels is another one."""
ORIGIN: Final = "api;"
"""What the group of a received alert begins with; its sender follows."""
TURN: Final = 0.005
"""Seconds of work after which other tasks get their turn."""
TICK: Final = 1.0
"""Seconds between two looks for alerts that are over."""
WRITE_EVERY: Final = 15.0
"""Seconds between two writings of what has changed of alerts that go on firing."""
WRITE_AT_ONCE: Final = 1000
"""Alerts in one such writing."""
REMEMBERED: Final = 1800.0
"""Seconds for which an alert that is over is remembered, as by an Alertmanager: further words may overlap it."""
COMMIT_WITHIN: Final = 8.0
"""Seconds that a sender waits for the database; Prometheus gives up after 10."""
MAX_TOTAL_TEXT: Final = 256 * 1024 * 1024
"""Characters of all alerts together."""
FAULTS: Final = 100
SPARE: Final = 1000
UNHEARD: Final = "not heard of any more"
"""Why an alert ends that nobody ended."""


class NotCommittedError(Exception):
    """The alerts are taken, and the database does not take them now."""


class Ledger(Protocol):
    def submit(self, changes: Sequence[AlertChange], /) -> None: ...

    async def until_committed(self) -> None:
        """What is submitted by now is in the database."""
        ...


@dataclass(slots=True)
class Verdict:
    """What became of a request."""

    firing: int = 0
    resolved: int = 0
    invalid: int = 0
    faults: list[str] = field(default_factory=list)
    """Why alerts were refused, in their order, the first FAULTS of them."""
    left_out: int = 0
    """Alerts that there was no room for."""

    def refuse(self, fault: str) -> None:
        self.invalid += 1
        if len(self.faults) < FAULTS:
            self.faults.append(fault)


@dataclass(slots=True)
class _Known:
    """An alert in memory."""

    held: Held
    alert: Alert
    """The same as others read it."""
    told: Alert
    """As the ledger was told last."""
    queued: float = math.inf
    """When it is looked at next."""

    @property
    def due_at(self) -> float:
        """When it is over, or forgotten."""
        return self.held.ends_at if self.alert.is_open else self.held.updated_at + REMEMBERED


class Received:
    """Not thread-safe: everything happens on the event loop's thread.

    Args:
        resolve_timeout: seconds for which an alert without an end is believed, and any alert after a restart.
        most: alerts that are kept at most.
    """

    def __init__(
        self, ledger: Ledger, *, clock: Clock, registry: CollectorRegistry, resolve_timeout: float, most: int
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._metrics = ReceivedMetrics(registry)
        self._resolve_timeout = resolve_timeout
        self._most = most
        self._known: dict[Labels, _Known] = {}
        self._size = 0
        self._open = 0
        self._changed: dict[Labels, None] = {}
        self._due: list[tuple[float, int, Labels]] = []
        """When to look at an alert again: its end, or when it is forgotten. A heap; later ends are found then."""
        self._count = 0
        self._written_at = clock.monotonic()

    def adopt(self, *, resolve_timeout: float, most: int) -> None:
        """Other settings from now on; what is there stays."""
        self._resolve_timeout, self._most = resolve_timeout, most

    def restore(self, alerts: Iterable[Alert], at: float) -> None:
        """Take back the received ones of an earlier run, once.

        Nobody could send anything meanwhile, so each is believed for at least `resolve_timeout` from now.
        """
        for alert in alerts:
            if alert.sent is None or not alert.is_open:
                continue
            sent = replace(alert.sent, ends_at=max(alert.sent.ends_at, at + self._resolve_timeout))
            self._put(_Known(_held(alert, sent), replace(alert, sent=sent), alert))
        self._metrics.open.set(self._open)

    async def take(self, posted: Sequence[Posted], sender: str) -> Verdict:
        """One request; alerts that are in order are taken whatever the others are.

        Raises:
            NotCommittedError: everything is as after a verdict, and not yet in the database.
        """
        verdict, turn = Verdict(), self._clock.monotonic()
        changes: list[AlertChange] = []
        at = self._clock.now()
        for one in posted:
            changes += self._take(one, sender, at, verdict)
            if self._clock.monotonic() - turn > TURN:
                # Before others may say something about the same alerts.
                self._ledger.submit(changes)
                changes = []
                await asyncio.sleep(0)
                turn, at = self._clock.monotonic(), self._clock.now()
        self._ledger.submit(changes)
        self._note(verdict, sender)
        try:
            async with asyncio.timeout(COMMIT_WITHIN):
                await self._ledger.until_committed()
        except TimeoutError:
            raise NotCommittedError from None
        return verdict

    def active(self) -> list[Alert]:
        """Those that fire."""
        return [known.alert for known in self._known.values() if known.alert.is_open]

    def shift(self, seconds: float) -> None:
        """The clock was stepped by so much: everything keeps its age."""
        for labels, known in self._known.items():
            one = known.held
            known.held = replace(
                one,
                starts_at=one.starts_at + seconds,
                ends_at=one.ends_at + seconds,
                updated_at=one.updated_at + seconds,
            )
            if known.alert.is_open:
                known.alert = _alert(known.held, one.updated_at + seconds, known.alert)
                self._changed[labels] = None
        self._queue_anew()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._clock.sleep(TICK)
            await self.look()

    async def look(self) -> None:
        """End what is over, and write down what has changed of the rest."""
        await self._expire()
        if self._clock.monotonic() - self._written_at >= WRITE_EVERY:
            self._written_at = self._clock.monotonic()
            await self._write()

    # One alert

    def _take(self, posted: Posted, sender: str, at: float, verdict: Verdict) -> Sequence[AlertChange]:
        try:
            one = held(posted, sender, at, self._resolve_timeout)
        except InvalidAlertError as error:
            verdict.refuse(str(error))
            return ()
        known = self._known.get(one.labels)
        if known is None and not self._has_room(one.size):
            verdict.left_out += 1
            return ()
        if one.is_over(at):
            verdict.resolved += 1
        else:
            verdict.firing += 1
        if known is not None:
            return self._go_on(known, merged(known.held, one, at), at)
        alert = _alert(one, at)
        self._put(_Known(one, alert, alert))
        return [AlertChange(AlertState.INACTIVE, alert, at)] if alert.is_open else ()

    def _go_on(self, known: _Known, one: Held, at: float) -> Sequence[AlertChange]:
        """A further word about an alert."""
        before = known.alert
        self._size += one.size - known.held.size
        known.held, known.alert = one, _alert(one, at, before if before.is_open else None)
        self._queue(known)
        if known.alert.is_open is before.is_open:
            if known.alert.is_open and _differs(known.alert, known.told, self._resolve_timeout):
                self._changed[one.labels] = None
            return ()
        return [self._turned(known, before.state, at)]

    def _turned(self, known: _Known, before: AlertState, at: float, reason: str = "") -> AlertChange:
        """It fires, or is over, since now."""
        self._open += 1 if known.alert.is_open else -1
        self._changed.pop(known.held.labels, None)
        known.told = known.alert
        return AlertChange(before, known.alert, at, reason)

    def _has_room(self, size: int) -> bool:
        if len(self._known) >= self._most:
            for labels, known in list(self._known.items()):
                if not known.alert.is_open:
                    self._forget(labels, known)
        return len(self._known) < self._most and self._size + size <= MAX_TOTAL_TEXT

    def _put(self, known: _Known) -> None:
        self._known[known.held.labels] = known
        self._size += known.held.size
        self._open += known.alert.is_open
        self._queue(known)

    def _forget(self, labels: Labels, known: _Known) -> None:
        del self._known[labels]
        self._size -= known.held.size

    def _queue(self, known: _Known) -> None:
        """Look at it when it is due; where a look is planned before that, that one finds out."""
        if known.due_at >= known.queued:
            return
        known.queued = known.due_at
        self._count += 1
        heapq.heappush(self._due, (known.queued, self._count, known.held.labels))
        if len(self._due) > 2 * len(self._known) + SPARE:
            self._queue_anew()

    def _queue_anew(self) -> None:
        self._due = []
        for count, (labels, known) in enumerate(self._known.items()):
            known.queued = known.due_at
            self._due.append((known.queued, count, labels))
        self._count = len(self._due)
        heapq.heapify(self._due)

    # Looking after

    async def _expire(self) -> None:
        turn, at = self._clock.monotonic(), self._clock.now()
        changes: list[AlertChange] = []
        while self._due and self._due[0][0] <= at:
            queued, _, labels = heapq.heappop(self._due)
            changes += self._look_at(labels, queued, at)
            if self._clock.monotonic() - turn > TURN:
                self._ledger.submit(changes)
                changes = []
                await asyncio.sleep(0)
                turn = self._clock.monotonic()
        self._ledger.submit(changes)
        self._metrics.open.set(self._open)

    def _look_at(self, labels: Labels, queued: float, at: float) -> Sequence[AlertChange]:
        known = self._known.get(labels)
        if known is None or known.queued != queued:
            return ()
        known.queued = math.inf
        if known.due_at > at:
            self._queue(known)
            return ()
        if not known.alert.is_open:
            self._forget(labels, known)
            return ()
        known.alert = _alert(known.held, at, known.alert)
        self._queue(known)
        self._metrics.expired.inc()
        return [self._turned(known, AlertState.FIRING, at, UNHEARD)]

    async def _write(self) -> None:
        """What changed of alerts that go on firing: their ends, and what people read of them."""
        at = self._clock.now()
        changes = []
        for labels in list(self._changed)[:WRITE_AT_ONCE]:
            del self._changed[labels]
            known = self._known[labels]
            known.told = known.alert
            changes.append(AlertChange(AlertState.FIRING, known.alert, at))
        self._ledger.submit(changes)

    def _note(self, verdict: Verdict, sender: str) -> None:
        counts = {
            "firing": verdict.firing,
            "resolved": verdict.resolved,
            "invalid": verdict.invalid,
            "full": verdict.left_out,
        }
        for result, count in counts.items():
            if count:
                self._metrics.posts.labels(sender, result).inc(count)
        self._metrics.open.set(self._open)


def _alert(one: Held, at: float, before: Alert | None = None) -> Alert:
    """
    Args:
        before: the same, while it has fired on.
    """
    is_over = one.is_over(at)
    since = before.fired_at if before is not None else None
    return Alert(
        fingerprint=before.fingerprint if before is not None else one.labels.fingerprint(REALM),
        group=ORIGIN + one.sender,
        labels=one.labels,
        annotations=one.annotations,
        state=AlertState.INACTIVE if is_over else AlertState.FIRING,
        value=math.nan,
        active_at=one.starts_at,
        fired_at=since if since is not None else min(one.starts_at, at),
        last_seen_at=one.updated_at,
        resolved_at=at if is_over else None,
        sent=Sent(one.ends_at, one.is_timeout, one.generator_url),
    )


def _held(alert: Alert, sent: Sent) -> Held:
    return Held(
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.active_at,
        ends_at=sent.ends_at,
        updated_at=alert.last_seen_at if alert.last_seen_at is not None else alert.active_at,
        is_timeout=sent.is_timeout,
        generator_url=sent.generator_url,
        sender=alert.group.removeprefix(ORIGIN),
    )


def _differs(now: Alert, told: Alert, resolve_timeout: float) -> bool:
    """Whether it is worth writing down; an end that a restart would find anyway is not."""
    if now.annotations != told.annotations or now.active_at != told.active_at:
        return True
    assert now.sent is not None
    assert told.sent is not None
    return not told.sent.ends_at <= now.sent.ends_at <= told.sent.ends_at + resolve_timeout
