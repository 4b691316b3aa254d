"""All [[heartbeat]]s: kept over reloads where they stay the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry

from sentinel.config.document import Document
from sentinel.config.heartbeat import HeartbeatSettings
from sentinel.config.settings import Settings
from sentinel.model.problem import Problem, UnusableError
from sentinel.notify.guard import Guard
from sentinel.notify.heartbeat.beat import Beat, HeartbeatMetrics, Troubles
from sentinel.runtime.clock import Clock, SystemClock


class Heart:
    """
    Args:
        troubles: what is wrong with the daemon now.
    """

    def __init__(self, clock: Clock, registry: CollectorRegistry, troubles: Troubles) -> None:
        self._clock = clock
        self._troubles = troubles
        self._metrics = HeartbeatMetrics(registry)
        self._beats: dict[str, Beat] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._gone: list[Beat] = []
        self._changed = asyncio.Event()

    def built(self, settings: Settings) -> Sequence[Beat]:
        """What these settings ask for; what runs and stays the same is taken over. The only step that may fail.

        Raises:
            UnusableError: a certificate file cannot be used, or an address is forbidden.
        """
        beats, guard = [], Guard(settings.notify.networks)
        for one in settings.heartbeat:
            running = self._beats.get(one.name)
            if running is not None and running.settings == one and running.guard.networks == guard.networks:
                beats.append(running)
                continue
            try:
                beats.append(self._beat(one, guard))
            except OSError as error:
                text = f"heartbeat '{one.name}' cannot be used: {error.strerror or error}"
                raise UnusableError([Problem(one.ca_file or one.name, 0, 0, text)]) from None
        return beats

    def use(self, beats: Sequence[Beat]) -> None:
        """These from now on."""
        wanted = {beat.name: beat for beat in beats}
        for name, beat in self._beats.items():
            if wanted.get(name) is not beat:
                self._gone.append(beat)
                self._metrics.end(name)
        for name, beat in wanted.items():
            if self._beats.get(name) is not beat:
                self._metrics.begin(name)
        self._beats = wanted
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._changed.clear()
                    await self._end_gone()
                    for name in self._beats.keys() - self._tasks.keys():
                        beat = self._beats[name]
                        self._tasks[name] = group.create_task(beat.run(), name=f"heartbeat {name}")
                    await self._changed.wait()
        finally:
            self._tasks.clear()

    async def close(self) -> None:
        """Close all connections."""
        for beat in (*self._gone, *self._beats.values()):
            await beat.close()

    async def _end_gone(self) -> None:
        gone, self._gone = self._gone, []
        for beat in gone:
            task = self._tasks.pop(beat.name, None)
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
            await beat.close()

    def _beat(self, settings: HeartbeatSettings, guard: Guard) -> Beat:
        return Beat(settings, guard=guard, clock=self._clock, metrics=self._metrics, troubles=self._troubles)


def heartbeat_problems(settings: Settings, document: Document) -> Iterator[Problem]:
    """What is wrong with heartbeats beyond their keys, at its place."""
    guard, names = Guard(settings.notify.networks), set[str]()
    for index, one in enumerate(settings.heartbeat):
        if one.name in names:
            text = f"heartbeat '{one.name}' is given twice"
            yield document.problem(("heartbeat", index, "name"), text, value=True)
        names.add(one.name)
        try:
            Beat(one, guard=guard, clock=SystemClock(), metrics=None, troubles=dict)
        except OSError as error:
            file = f" ({error.filename})" if error.filename else ""
            text = f"heartbeat '{one.name}' cannot be used: {error.strerror or error}{file}"
            yield document.problem(("heartbeat", index, "name"), text, value=True)
