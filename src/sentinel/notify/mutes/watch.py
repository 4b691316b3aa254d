"""Watches over silences as time goes by: when one begins or ends, is about to end, or has been over for long."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy.exc import SQLAlchemyError

from sentinel.config.receivers import NotifySettings
from sentinel.db.database import Database, is_passing
from sentinel.db.errors import reason_of
from sentinel.notify.mutes.silence import Kind, Silence, State
from sentinel.notify.mutes.silences import Silences, Tell, nobody
from sentinel.runtime.clock import Clock
from sentinel.runtime.supervise import backoff

log = logging.getLogger(__name__)

RETENTION = 120 * 3600.0
"""Seconds for which one that is over is kept to be looked at."""
LONGEST_SLEEP = 86400.0


class SilenceMetrics:
    """How many there are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.silences = Gauge(
            "sentinel_silences",
            "Silences and maintenance windows, by kind and state.",
            ["kind", "state"],
            registry=registry,
        )
        for kind in Kind:
            for state in State:
                self.silences.labels(kind.value, state.value)

    def show(self, states: Iterable[tuple[Kind, State]]) -> None:
        counts = Counter(states)
        for kind in Kind:
            for state in State:
                self.silences.labels(kind.value, state.value).set(counts[kind, state])


class Watch:
    """
    Args:
        remind: told of one that ends soon for good, once.
        ended: told of one that has ended, or whose window has, once.
    """

    def __init__(
        self,
        silences: Silences,
        db: Database,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        remind: Tell = nobody,
        ended: Tell = nobody,
        settings: Callable[[], NotifySettings] = NotifySettings,
    ) -> None:
        self._silences = silences
        self._db = db
        self._clock = clock
        self._metrics = SilenceMetrics(registry)
        self._remind = remind
        self._ended = ended
        self._settings = settings
        self._due: dict[str, float] = {}
        """By id: when it has to be looked at next, Unix seconds."""
        self._states: dict[str, tuple[Kind, State]] = {}
        self._stirred = asyncio.Event()
        silences.on_write(self._look_at)
        self._look_at(one.id for one in silences.mutes.all())

    async def run(self) -> None:
        """Until cancelled. A database that takes nothing is tried again; what is muted goes by memory meanwhile."""
        failures = 0
        while True:
            self._stirred.clear()
            try:
                if self._silences.is_stale:
                    await self._silences.load()
                pause = await self._pass()
                failures = 0
            except (SQLAlchemyError, OSError) as error:
                if not is_passing(error):
                    raise
                failures += 1
                if failures == 1:
                    log.error("silences cannot be written", extra={"facts": {"error": reason_of(error)}})
                pause = backoff(failures)
            await self._sleep(pause)

    def adopt(self) -> None:
        """Another configuration: targets, their parents, and when people are reminded."""
        self._silences.mutes.adopt(self._clock.now())
        self._look_at(list(self._due))
        self._silences.changed()

    def shift(self, _seconds: float) -> None:
        """The wall clock was set: windows stay where they are on it."""
        self._look_at(list(self._due))

    def _look_at(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            self._due[id_] = -math.inf
        self._stirred.set()

    async def _pass(self) -> float:
        """Look at what is due; seconds until the next is."""
        at = self._clock.now()
        due = [id_ for id_, when in self._due.items() if when <= at]
        found = self._note(due, at)
        try:
            for one in found:
                await self._act(one, at)
            await self._silences.forget([one.id for one in found if _is_forgotten(one, at)])
        except BaseException:
            self._due.update(dict.fromkeys(due, -math.inf))
            raise
        return min(self._due.values(), default=math.inf) - self._clock.now()

    def _note(self, ids: Iterable[str], at: float) -> Sequence[Silence]:
        """What has become of these: what begins or ends changes what is muted at once."""
        found, over, turned = [], [], False
        for id_ in ids:
            one = self._silences.mutes.get(id_)
            if one is None:
                del self._due[id_]
                self._states.pop(id_, None)
                continue
            found.append(one)
            state = one.state(at)
            _, before = self._states.get(id_, (one.kind, state))
            self._states[id_] = (one.kind, state)
            self._due[id_] = self._next(one, state, at)
            if state is State.EXPIRED:
                over.append(id_)
            if before is not state and State.ACTIVE in (before, state):
                turned = True
                what = "begins" if state is State.ACTIVE else "is over"
                log.info(f"{one.kind.words} {what}", extra={"facts": {"id": id_, "by": one.created_by}})
        self._silences.mutes.retire(over)
        self._metrics.show(self._states.values())
        if turned:
            self._silences.changed()
        return found

    def _next(self, silence: Silence, state: State, at: float) -> float:
        """When it has to be looked at again."""
        if state is State.EXPIRED:
            return max((silence.over_at or at) + RETENTION, at)
        window = silence.window(at)
        turns = [window.start, window.end]
        if (remind_at := self._remind_at(silence)) is not None:
            turns.append(remind_at)
        return min((turn for turn in turns if turn > at), default=at + LONGEST_SLEEP)

    async def _act(self, silence: Silence, at: float) -> None:
        """Tell people what they are to be told of it."""
        if self._is_ending(silence, at):
            facts = {"id": silence.id, "by": silence.created_by, "until": silence.over_at}
            log.info(f"{silence.kind.words} ends soon", extra={"facts": facts})
            await self._silences.tell(
                silence.id,
                lambda one: replace(one, reminded_at=at) if self._is_ending(one, at) else None,
                self._remind,
                "remind",
            )
        if _untold_end(silence, at) is not None:
            await self._silences.tell(
                silence.id,
                lambda one: (
                    None if (end := _untold_end(one, at)) is None else replace(one, ended_told_at=end)
                ),
                self._ended,
            )

    def _remind_at(self, silence: Silence) -> float | None:
        """When people are reminded of its end; None: they have been, or it is too short or has no end."""
        lead = self._settings().silence_reminder
        if not lead or silence.over_at is None or silence.reminded_at is not None:
            return None
        return silence.over_at - lead if silence.over_at - silence.starts_at >= 2 * lead else None

    def _is_ending(self, silence: Silence, at: float) -> bool:
        remind_at, over_at = self._remind_at(silence), silence.over_at
        return remind_at is not None and over_at is not None and remind_at <= at < over_at

    async def _sleep(self, seconds: float) -> None:
        """Until then, or until something was written."""
        pause = self._clock.sleep(max(0.0, min(seconds, LONGEST_SLEEP)))
        waiting = [asyncio.ensure_future(pause), asyncio.ensure_future(self._stirred.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()


def _untold_end(silence: Silence, at: float) -> float | None:
    """When it ended, or its last window did, and that has not been told; not while it is active again."""
    end = silence.last_end(at)
    told = -math.inf if silence.ended_told_at is None else silence.ended_told_at
    return end if end is not None and end > told and silence.state(at) is not State.ACTIVE else None


def _is_forgotten(silence: Silence, at: float) -> bool:
    return silence.over_at is not None and silence.over_at + RETENTION <= at
