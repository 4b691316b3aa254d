"""The uplink: asked now and then, and at once when a target stops answering; and what may be believed meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge

from sentinel.collect.uplink.anchor import Anchors
from sentinel.collect.uplink.standing import Standing, step
from sentinel.config.uplink import UplinkSettings
from sentinel.model.batch import Batch
from sentinel.model.target import Target
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

QUICK = 1.0
"""Seconds between two rounds while the verdict is in doubt, and at least between any two."""
AGAIN_PER_SECOND = 50
"""Targets that are polled beside their schedule once the uplink is back."""
PATIENCE = 300.0
"""Seconds after which a target that was not polled since the uplink came back is believed all the same."""
LOCAL = "local"
"""The module of this machine, which needs no uplink."""
SILENT = frozenset(
    ("timeout", "unreachable", "refused", "closed", "resolve", "unresolved", "network", "source_address")
)
"""Reasons of polls and probes that do not show that the target was reached."""
_FAILED = "sentinel_probe_failed"

PollNow = Callable[[str, Collection[str]], Awaitable[None]]


class UplinkMetrics:
    """There while anchors are configured."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.up = Gauge(
            "sentinel_uplink_up",
            "1 while Sentinel's own uplink works, 0 while no anchor answers; not there without anchors.",
            registry=registry,
        )
        self.anchor = Gauge(
            "sentinel_uplink_anchor_up",
            "Whether the anchor answered in the last round.",
            ["anchor"],
            registry=registry,
        )

    def remove(self, registry: CollectorRegistry) -> None:
        registry.unregister(self.up)
        registry.unregister(self.anchor)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why it is not believed that a target is down."""

    text: str
    until: float | None = None
    """Unix seconds, where that is known."""


class Uplink:
    """
    Args:
        poll_now: polls modules of a target beside their schedule.
        look_again: called when what was in doubt is so no longer.
    """

    def __init__(
        self,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        poll_now: PollNow,
        look_again: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._poll_now = poll_now
        self._look_again = look_again
        self._settings = UplinkSettings()
        self._anchors: Anchors | None = None
        self._gone: list[Anchors] = []
        """To be closed."""
        self._metrics: UplinkMetrics | None = None
        self._settle = 0.0
        self._modules: dict[str, Collection[str]] = {}
        """Of the targets that need the uplink."""
        self._answers: dict[str, dict[str, bool]] = {}
        """By target and module, as last polled."""
        self._standing = Standing()
        self._down_since = 0.0
        self._is_judged = False
        """There has been a verdict."""
        self._fresh: set[str] = set()
        """Targets that stopped answering after the last round that found the uplink up had begun."""
        self._settling: dict[str, float | None] = {}
        """Targets that did not answer when the uplink came back; monotonic seconds of their first poll since."""
        self._back_at = 0.0
        self._was_asked = False
        self._stirred = asyncio.Event()
        self._round_at = -QUICK

    @property
    def is_up(self) -> bool:
        return self._standing.is_up

    def use(self, settings: UplinkSettings, targets: Iterable[Target], *, settle: float) -> None:
        """From now on.

        Args:
            settle: seconds within which rules have judged what has been polled.
        """
        self._settle = settle
        self._modules = {one.name: one.modules for one in targets if LOCAL not in one.modules}
        self._answers = {
            name: {
                module: works for module, works in self._answers.get(name, {}).items() if module in modules
            }
            for name, modules in self._modules.items()
        }
        self._fresh &= self._modules.keys()
        self._settling = {name: at for name, at in self._settling.items() if name in self._modules}
        if settings != self._settings:
            self._settings = settings
            self._begin()
            self._stirred.set()

    def heard(self, batch: Batch) -> None:
        """Of every poll."""
        name = batch.source.target
        if name not in self._modules:
            return
        answers, module = self._answers.setdefault(name, {}), batch.source.module
        works = not _is_silent(batch)
        if not works and answers.get(module) is not False:
            self._fresh.add(name)
            self._stirred.set()
        answers[module] = works
        now = self._clock.monotonic()
        if self._settling.get(name, 0.0) is None and now - batch.duration >= self._back_at:
            self._settling[name] = now

    def doubt(self, target: str) -> Doubt | None:
        """Why an alert on a target is not to be believed now; None: it is, as far as the uplink goes."""
        if self._anchors is None or target not in self._modules:
            return None
        found = self._settles(target)
        if found is None and not self._answers_now(target):
            if not self._standing.is_up:
                found = Doubt("no anchor of the uplink answers")
            elif self._standing.is_in_doubt or not self._is_judged or target in self._fresh:
                found = Doubt("the uplink is being checked")
        if found is not None:
            self._was_asked = True
        return found

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._stirred.clear()
                    while self._gone:
                        await self._gone.pop().close()
                    if self._anchors is None:
                        await self._stirred.wait()
                        continue
                    if await self._round(self._anchors):
                        group.create_task(self._poll_again(list(self._settling)), name="uplink is back")
                    await self._pause()
        finally:
            await self.close()

    async def close(self) -> None:
        for one in (*self._gone, *([self._anchors] if self._anchors is not None else [])):
            await one.close()

    def _begin(self) -> None:
        """Anew, with the settings as they are."""
        if self._anchors is not None:
            self._gone.append(self._anchors)
        self._anchors = None
        if self._metrics is not None:
            self._metrics.remove(self._registry)
            self._metrics = None
        self._standing, self._is_judged = Standing(), False
        self._fresh.clear()
        self._settling.clear()
        if self._settings.anchors:
            self._anchors = Anchors(self._settings.anchors, timeout=self._settings.timeout, clock=self._clock)
            self._metrics = UplinkMetrics(self._registry)
            self._metrics.up.set(1)

    async def _round(self, anchors: Anchors) -> bool:
        """Ask all anchors; whether that brought the uplink back."""
        self._round_at = self._clock.monotonic()
        asked = frozenset(self._fresh)
        found = await anchors.ask()
        if anchors is not self._anchors or self._metrics is None:
            return False  # a reload came in between
        before, self._standing = (
            self._standing,
            step(self._standing, _verdict(found), self._settings.failures),
        )
        for name, answers in found.items():
            self._metrics.anchor.labels(name).set(bool(answers))
        self._metrics.up.set(self._standing.is_up)
        if self._standing == Standing():
            self._fresh -= asked
        is_back = self._standing == Standing() and not (before.is_up and self._is_judged)
        self._is_judged = self._is_judged or not self._standing.is_in_doubt
        self._turn(before, is_back)
        if self._was_asked and self._standing == Standing():
            self._was_asked = False
            self._look_again()
        return is_back

    def _turn(self, before: Standing, is_back: bool) -> None:
        """What follows from a verdict that has changed."""
        now = self._clock.monotonic()
        if before.is_up and not self._standing.is_up:
            self._down_since = now
            log.error("uplink down", extra={"facts": {"anchors": ", ".join(self._settings.anchors)}})
        elif not before.is_up and self._standing.is_up:
            log.info("uplink up again", extra={"facts": {"seconds": round(now - self._down_since)}})
        if is_back:
            self._back_at = now
            self._settling = {name: None for name in self._modules if not self._answers_now(name)}

    async def _poll_again(self, names: Iterable[str]) -> None:
        """What did not answer is asked again before anything is said of it."""
        async with asyncio.TaskGroup() as polls:
            for name in names:
                if self._settling.get(name, 0.0) is None and self._answers.get(name):
                    polls.create_task(self._poll_one(name), name=f"poll {name} again")
                    await self._clock.sleep(1 / AGAIN_PER_SECOND)

    async def _poll_one(self, name: str) -> None:
        await self._poll_now(name, self._modules.get(name, ()))

    async def _pause(self) -> None:
        """Until the next round: soon while in doubt, else when a target stops answering, or it is time."""
        seconds = QUICK if self._standing.is_in_doubt else self._settings.every
        if not self._standing.is_up:
            seconds = min(seconds, 5 * QUICK)
        async with asyncio.TaskGroup() as group:
            timer = group.create_task(self._ring(self._round_at + seconds - self._clock.monotonic()))
            await self._stirred.wait()
            timer.cancel()
        await self._clock.sleep(self._round_at + QUICK - self._clock.monotonic())

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(max(seconds, 0.0))
        self._stirred.set()

    def _answers_now(self, target: str) -> bool:
        """Something of it answered when it was last polled."""
        return any(self._answers.get(target, {}).values())

    def _settles(self, target: str) -> Doubt | None:
        """It did not answer when the uplink came back, and has not been polled and judged since."""
        if target not in self._settling:
            return None
        now, polled_at = self._clock.monotonic(), self._settling[target]
        if polled_at is None and now < self._back_at + PATIENCE:
            return Doubt("the uplink is back, and the target has not been polled since")
        if polled_at is not None and now < polled_at + self._settle:
            until = self._clock.now() + polled_at + self._settle - now
            return Doubt("the uplink is back, and rules have not judged the target since", until)
        del self._settling[target]
        return None


def _is_silent(batch: Batch) -> bool:
    """Nothing came back. A probe is up also when it fails; a wrong password is an answer."""
    if not batch.up:
        return batch.reason in SILENT
    return _FAILED in batch.reading.layout.families and not SILENT.isdisjoint(batch.reading.reasons)


def _verdict(found: Mapping[str, bool | None]) -> bool | None:
    """Whether any anchor answers; None: none could be asked."""
    asked = [answers for answers in found.values() if answers is not None]
    return any(asked) if asked else None
