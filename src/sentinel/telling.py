"""How news gets to people: dispatch, groups, sender and what may stand in the way, wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from sentinel.collect.uplink.uplink import Doubt
from sentinel.db.database import Database
from sentinel.incidents.store import read_alerts
from sentinel.inventory.paths import Paths
from sentinel.model.labels import Labels
from sentinel.notify.chart.charts import Drawing
from sentinel.notify.decision import Circumstances, Obstacle, Why
from sentinel.notify.desk import Desk
from sentinel.notify.dispatch import Dispatch
from sentinel.notify.explaining import Explainer
from sentinel.notify.flapping import Flapping
from sentinel.notify.groups.keeper import Keeper
from sentinel.notify.intervals import Intervals
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.silences import Silences
from sentinel.notify.mutes.watch import Watch
from sentinel.notify.receiver import Receiver
from sentinel.notify.receivers import build_receivers
from sentinel.notify.reminding import Reminder
from sentinel.notify.sender import Sender
from sentinel.notify.sending.policy import policies_of
from sentinel.notify.standing import Standing
from sentinel.notify.tree import Route
from sentinel.reload import Configuration
from sentinel.runtime.clock import Clock

Receivers = Mapping[str, Receiver]


class Telling:
    """
    Args:
        is_down: whether a target itself does not answer.
        uplink: why it is not believed that a target does not answer, where it is not.
        drawing: who draws charts for mails.
    """

    def __init__(
        self,
        db: Database,
        running: Configuration,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        is_down: Callable[[str], bool],
        uplink: Callable[[str], Doubt | None] = lambda _: None,
        drawing: Drawing | None = None,
    ) -> None:
        self._clock = clock
        self._running = running
        self._is_down = is_down
        self._uplink = uplink
        self._drawing = drawing
        self._paths = Paths(running.targets)
        self._standing = Standing(running.settings.inhibit)
        self._flapping = Flapping(running.settings.notify.flapping)
        self.sender = Sender(
            db,
            self.receivers(running),
            clock=clock,
            registry=registry,
            policies=policies_of(running.settings.receiver),
        )
        self.mutes = Mutes(self._dependants)
        self.silences = Silences(
            db,
            clock,
            self.mutes,
            self._look_again,
            alerts=self._standing.open_alerts,
            targets=self._targets,
            settings=lambda: self._running.settings.notify,
        )
        self._watch = Watch(
            self.silences,
            db,
            clock,
            registry,
            remind=Reminder(clock, self.mutes, lambda: self.dispatch).remind,
            settings=lambda: self._running.settings.notify,
        )
        self.dispatch = self._dispatch(running)
        self.keeper = Keeper(db, clock, self.dispatch, committed=self.sender.wake)
        self.explainer = Explainer(db, clock, lambda: self.dispatch)
        self.desk = Desk(db, clock, receivers=lambda: self.sender.receivers, again=self.sender.again)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        db: Database,
        running: Configuration,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        is_down: Callable[[str], bool],
        uplink: Callable[[str], Doubt | None] = lambda _: None,
        drawing: Drawing | None = None,
    ) -> AsyncIterator[Telling]:
        """With what was known when the daemon ended.

        Raises:
            OSError: a receiver cannot be built, because a file that it names is not there.
        """
        telling = cls(db, running, clock, registry, is_down=is_down, uplink=uplink, drawing=drawing)
        try:
            await telling.silences.load()
            async with db.reading() as connection:
                telling._standing.restore(await read_alerts(connection))
                await telling._flapping.restore(connection, clock.now())
            yield telling
        finally:
            await telling.sender.close()

    def committed(self) -> None:
        """Something was committed that may have to be told."""
        self.sender.wake()
        self.keeper.stir()

    def shift(self, seconds: float) -> None:
        """The clock was stepped by so much."""
        self.keeper.shift(seconds)
        self.sender.shift(seconds)
        self._flapping.shift(seconds)
        self._watch.shift(seconds)

    def receivers(self, configuration: Configuration) -> Receivers:
        """The only step towards other settings that may fail.

        Raises:
            OSError: a file that a receiver names is not there.
        """
        settings = configuration.settings
        return build_receivers(
            settings.receiver,
            clock=self._clock,
            language=settings.daemon.language,
            zone=settings.daemon.timezone,
            notify=settings.notify,
            folder=configuration.path.parent,
            drawing=self._drawing,
        )

    def adopt(self, configuration: Configuration, receivers: Receivers) -> Dispatch:
        """Other settings from now on."""
        self._running = configuration
        self._paths = Paths(configuration.targets)
        self._standing.use(configuration.settings.inhibit)
        self._flapping.use(configuration.settings.notify.flapping)
        self.dispatch = self._dispatch(configuration)
        self.keeper.use(self.dispatch)
        self.sender.use(receivers, policies_of(configuration.settings.receiver))
        self._watch.adopt()
        return self.dispatch

    @property
    def parts(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """What runs as long as the daemon does."""
        return {"groups": self.keeper.run, "sender": self.sender.run, "silences": self._watch.run}

    def _look_again(self) -> None:
        self.keeper.look_at_all()

    def _dependants(self, names: Collection[str]) -> Collection[str]:
        return self._paths.dependants(names)

    def _targets(self) -> Collection[str]:
        return [target.name for target in self._running.targets]

    def _dispatch(self, configuration: Configuration) -> Dispatch:
        settings = configuration.settings
        intervals = Intervals.of(settings.time_interval, settings.daemon.timezone)

        def times(route: Route, at: float) -> Sequence[Obstacle]:
            return [
                Obstacle(
                    Why.TIME, f"{'in' if one.is_muted else 'not in'} {', '.join(one.intervals)}", one.until
                )
                for one in intervals.closed(route.grouping, at)
            ]

        return Dispatch(
            settings.route,
            settings.receiver,
            external_url=settings.external_url,
            circumstances=Circumstances(
                mutes=self._muted,
                inhibitions=self._standing.inhibitions,
                dependencies=self._cut_off,
                uplink=self._in_doubt,
                times=times,
                flapping=self._flapping.obstacles,
            ),
            standing=self._standing,
            flapping=self._flapping,
        )

    def _muted(self, labels: Labels, at: float) -> Sequence[Obstacle]:
        return [Obstacle(Why(one.kind), one.text, one.until, one.id) for one in self.mutes.muting(labels, at)]

    def _cut_off(self, target: str) -> Sequence[Obstacle]:
        down = self._paths.blockers(target, self._is_down) if target else ()
        return [Obstacle(Why.DEPENDENCY, f"{name} is down", source=name) for name in down]

    def _in_doubt(self, target: str) -> Sequence[Obstacle]:
        doubt = self._uplink(target)
        return [Obstacle(Why.UPLINK, doubt.text, doubt.until)] if doubt is not None else ()
