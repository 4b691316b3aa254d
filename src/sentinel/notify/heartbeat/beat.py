"""One outside service: called on its own phase while nothing is wrong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge

from sentinel.config.heartbeat import HeartbeatSettings
from sentinel.model.durations import format_duration
from sentinel.model.pattern import Pattern
from sentinel.notify.guard import Guard
from sentinel.notify.http import Answer, Http, UnreachableError
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

Troubles = Callable[[], Mapping[str, str]]
"""Parts of the daemon that do not do their work, each with the reason; none: everything works."""

FIRST = 30.0
"""Seconds from the start to the first call, so that a daemon that dies again and again is missed."""
LOOK = 1.0
"""Seconds between two looks at whether what was wrong is over."""
AGAIN = 0.25
"""Share of the period after which a call that failed is tried again, once."""

OK, REFUSED, UNREACHABLE, WITHHELD = "ok", "refused", "unreachable", "withheld"
RESULTS = (OK, REFUSED, UNREACHABLE, WITHHELD)


class HeartbeatMetrics:
    """What became of the calls."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.succeeded_at = Gauge(
            "sentinel_heartbeat_last_success_timestamp_seconds",
            "When the outside service last took a call.",
            ["name"],
            registry=registry,
        )
        self.calls = Counter(
            "sentinel_heartbeats",
            "Calls that were due: taken (ok), refused by the far side, without an answer (unreachable), or "
            "withheld because a part of the daemon does not do its work.",
            ["name", "result"],
            registry=registry,
        )

    def begin(self, name: str) -> None:
        for result in RESULTS:
            self.calls.labels(name, result)

    def end(self, name: str) -> None:
        for result in RESULTS:
            self.calls.remove(name, result)
        if name in {labels["name"] for _, labels, *_ in self.succeeded_at._samples()}:
            self.succeeded_at.remove(name)


class Beat:
    """
    Raises:
        OSError: a certificate file cannot be used, or the address is forbidden.
    """

    def __init__(
        self,
        settings: HeartbeatSettings,
        *,
        guard: Guard,
        clock: Clock,
        metrics: HeartbeatMetrics | None,
        troubles: Troubles,
    ) -> None:
        """
        Args:
            metrics: None: it will not be run, only checked.
        """
        self.settings = settings
        self.guard = guard
        self._clock = clock
        self._metrics = metrics
        self._troubles = troubles
        self._success = Pattern.of(settings.success) if settings.success else None
        self._http = Http(
            settings,
            url=settings.url.reveal(),
            guard=guard,
            now=clock.now,
            secrets=settings.secrets,
            headers=settings.plain_headers,
        )
        self._wrong: dict[str, str] = {}
        """Parts in trouble since the last call that was taken, with the first reason of each."""
        self._wrong_since = 0.0
        self._is_failing = False

    @property
    def name(self) -> str:
        return self.settings.name

    async def run(self) -> None:
        """Until cancelled."""
        every = self.settings.every
        due = self._clock.monotonic() + min(every, FIRST)
        while True:
            await self._clock.sleep(due - self._clock.monotonic())
            await self._until_well(due)
            if not await self.call():
                await self._clock.sleep(every * AGAIN)
                if not self._troubles():
                    await self.call()
            # Calls that went by while something was wrong are not made up for.
            due += (int(max(self._clock.monotonic() - due, 0.0) // every) + 1) * every

    async def close(self) -> None:
        await self._http.close()

    async def call(self) -> bool:
        """One call; whether it was taken."""
        try:
            async with asyncio.timeout(self.settings.timeout):
                result, detail = self._judged(await self._ask())
        except TimeoutError:
            result, detail = UNREACHABLE, f"no answer within {self.settings.timeout:g} s"
        except UnreachableError as error:
            result, detail = UNREACHABLE, str(error)
        self._note(result, detail)
        return result == OK

    async def _ask(self) -> Answer:
        settings = self.settings
        content, headers = None, {}
        if settings.method == "POST":
            content, headers = self._story().encode(), {"Content-Type": "text/plain; charset=utf-8"}
        return await self._http.ask(
            settings.url.reveal(),
            content,
            method=settings.method,
            headers=headers,
            needs_body=self._success is not None,
        )

    def _story(self) -> str:
        """For the far side's log: that it works, and what did not until now."""
        if not self._wrong:
            return "working"
        lasted = format_duration(round(self._clock.monotonic() - self._wrong_since))
        return f"working again after {lasted}: {_told(self._wrong)}"

    def _judged(self, answer: Answer) -> tuple[str, str]:
        if not answer.is_success:
            return REFUSED, self._http.detail(f"{answer.status} {answer.text}")
        if self._success is not None and not self._success.occurs_in(answer.text):
            return REFUSED, self._http.detail(f"not successful: {answer.text}")
        return OK, ""

    async def _until_well(self, due: float) -> None:
        """Wait while a part of the daemon does not do its work, counting the calls that are not made."""
        counted = 0
        while wrong := self._troubles():
            now = self._clock.monotonic()
            if not self._wrong:
                self._wrong_since = now
            news = {part: reason for part, reason in wrong.items() if part not in self._wrong}
            if news:
                self._wrong |= news
                facts = {"heartbeat": self.name, "reason": _told(news)}
                log.error("heartbeat withheld", extra={"facts": facts})
            missed = int((now - due) // self.settings.every) + 1
            self._count(WITHHELD, missed - counted)
            counted = missed
            await self._clock.sleep(min(LOOK, self.settings.every))

    def _note(self, result: str, detail: str) -> None:
        self._count(result, 1)
        facts = {"heartbeat": self.name, "reason": detail}
        if result != OK:
            if not self._is_failing:
                log.warning("heartbeat not taken", extra={"facts": facts})
            self._is_failing = True
            return
        if self._metrics is not None:
            self._metrics.succeeded_at.labels(self.name).set(self._clock.now())
        if self._is_failing:
            log.info("heartbeat taken again", extra={"facts": {"heartbeat": self.name}})
        if self._wrong:
            facts = {"heartbeat": self.name, "reason": _told(self._wrong)}
            log.info("heartbeat goes on, what was wrong is over", extra={"facts": facts})
        self._is_failing, self._wrong = False, {}

    def _count(self, result: str, count: int) -> None:
        if self._metrics is not None and count > 0:
            self._metrics.calls.labels(self.name, result).inc(count)


def _told(troubles: Mapping[str, str]) -> str:
    return "; ".join(f"{part}: {reason}" for part, reason in troubles.items())
