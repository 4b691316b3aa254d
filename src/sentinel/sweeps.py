"""Sweeps by the calendar: networks are searched, and what is new becomes a target."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from prometheus_client import CollectorRegistry, Counter, Gauge

from sentinel.collect.discovery.calendar import file_of
from sentinel.collect.discovery.candidates import Candidate, candidates_of, places_of, written_places
from sentinel.collect.discovery.sweep import MODULE, Found, Sweep, discovery_module
from sentinel.collect.snmp.driver import SnmpDriver
from sentinel.config.files import read_text
from sentinel.config.sweeps import SweepSettings
from sentinel.inventory.additions import replace_file, with_additions
from sentinel.model.problem import Problem, UnusableError
from sentinel.reload import Configuration
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

LATENESS = 3600
"""Seconds by which a sweep may start late, after a suspended machine woke up or behind another sweep."""

CONCURRENCY = 100
"""Addresses asked at once; the rate is what bounds a sweep."""

MOST_NAMED = 20
"""New targets that the log names one by one."""

STATES = ("new", "known", "same device")


class SweepMetrics:
    """What sweeps found. The label `sweep` is the file they write to, as it stands in the configuration."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.devices = Gauge(
            "sentinel_sweep_devices",
            "Devices that answered the last sweep, by what became of them.",
            ["sweep", "state"],
            registry=registry,
        )
        self.added = Counter(
            "sentinel_sweep_targets_added",
            "Targets that sweeps added to their file.",
            ["sweep"],
            registry=registry,
        )
        self.failures = Counter(
            "sentinel_sweep_failures",
            "Sweeps that could not search, or not write what they found.",
            ["sweep"],
            registry=registry,
        )
        self.succeeded_at = Gauge(
            "sentinel_sweep_last_success_timestamp_seconds",
            "When a sweep last ended well.",
            ["sweep"],
            registry=registry,
        )

    def begin(self, sweep: str) -> None:
        """Failures count from nothing, so that the first one is an increase."""
        self.added.labels(sweep)
        self.failures.labels(sweep)

    def forget(self, sweep: str) -> None:
        """It stands in the configuration no more."""
        for metric in (self.devices, self.added, self.failures, self.succeeded_at):
            metric.remove_by_labels({"sweep": sweep})


class Sweeps:
    """Runs the sweeps of the configuration in force, one after the other.

    Args:
        reread: reads the target files again.
    """

    def __init__(
        self,
        clock: Clock,
        registry: CollectorRegistry,
        configuration: Callable[[], Configuration],
        reread: Callable[[], Awaitable[Sequence[Problem]]],
    ) -> None:
        self._clock = clock
        self._configuration, self._reread = configuration, reread
        self._metrics = SweepMetrics(registry)
        self._turn = asyncio.Lock()
        self._planned: tuple[SweepSettings, ...] = ()
        self._changed = asyncio.Event()

    def adopt(self) -> None:
        """The configuration in force is another one."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        zone = self._configuration().settings.daemon.timezone
        scheduler = AsyncIOScheduler(timezone=zone)
        self._planned = ()
        self._plan(scheduler)
        scheduler.start()
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                self._plan(scheduler)
        finally:
            scheduler.shutdown(wait=False)

    def _plan(self, scheduler: AsyncIOScheduler) -> None:
        """Jobs for the sweeps of the configuration; those that did not change keep theirs."""
        wanted = self._configuration().settings.discovery.sweeps
        if wanted == self._planned:
            return
        for job in scheduler.get_jobs():
            job.remove()
        for gone in {one.file for one in self._planned} - {one.file for one in wanted}:
            self._metrics.forget(gone)
        for sweep in wanted:
            self._metrics.begin(sweep.file)
            for trigger in triggers(sweep, str(scheduler.timezone)):
                scheduler.add_job(
                    self.sweep,
                    trigger,
                    args=(sweep,),
                    coalesce=True,
                    max_instances=1,
                    misfire_grace_time=LATENESS,
                )
        self._planned = wanted

    async def sweep(self, sweep: SweepSettings) -> None:
        """Search now, and write what is new; whatever fails is told in the log and in metrics."""
        async with self._turn:
            began = self._clock.monotonic()
            try:
                candidates = await self._candidates(sweep)
                added = await self._add(sweep, candidates)
            except UnusableError as error:
                self._fail(sweep, *map(str, error.problems))
            except (OSError, UnicodeDecodeError) as error:
                self._fail(sweep, f"{sweep.file}: {error}")
            except Exception:  # a sweep that meets a bug must not end those after it
                log.exception("sweep bug", extra={"facts": {"sweep": sweep.file}})
                self._metrics.failures.labels(sweep.file).inc()
            else:
                self._note(sweep, candidates, added, self._clock.monotonic() - began)

    async def _candidates(self, sweep: SweepSettings) -> list[Candidate]:
        found = await self._search(sweep)
        running = self._configuration()
        path = file_of(sweep, running.path.parent)
        written = await asyncio.to_thread(written_places, path)
        places = await places_of(running.targets) | written
        names = {target.name for target in running.targets}
        return candidates_of(found, places, names, running.modules)

    async def _search(self, sweep: SweepSettings) -> list[Found]:
        """With sockets and devices of its own: addresses where nobody is leave nothing behind."""
        auths = self._configuration().settings.auth
        modules = {MODULE: discovery_module()}
        driver = SnmpDriver(modules, auths, clock=self._clock, registry=CollectorRegistry())
        try:
            return await Sweep(
                driver,
                sweep.auth,
                clock=self._clock,
                port=sweep.port,
                rate=sweep.rate,
                concurrency=CONCURRENCY,
                timeout=sweep.timeout,
            ).run(sweep.networks, without=sweep.exclude)
        finally:
            await driver.close()

    async def _add(self, sweep: SweepSettings, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those that are targets now and were not before.

        Raises:
            UnusableError: the file is no target file any more, or what it would become is refused.
            OSError: it cannot be written.
        """
        running = self._configuration()
        if sweep not in running.settings.discovery.sweeps:
            return []  # a reload has taken it away meanwhile
        new = [one for one in candidates if one.state == "new" and one.modules]
        if new:
            await asyncio.to_thread(_write, file_of(sweep, running.path.parent), new, sweep)
            problems = await self._reread()
            if problems:
                raise UnusableError(problems)
        return new

    def _note(
        self, sweep: SweepSettings, candidates: Sequence[Candidate], added: Sequence[Candidate], spent: float
    ) -> None:
        for state in STATES:
            count = sum(one.state == state for one in candidates)
            self._metrics.devices.labels(sweep.file, state).set(count)
        self._metrics.added.labels(sweep.file).inc(len(added))
        self._metrics.succeeded_at.labels(sweep.file).set(self._clock.now())
        for one in added[:MOST_NAMED]:
            facts = {
                "target": one.target,
                "address": one.address,
                "modules": one.modules,
                "sweep": sweep.file,
            }
            log.info("device found", extra={"facts": facts})
        counts = {"devices": len(candidates), "added": len(added), "seconds": round(spent, 1)}
        log.info("sweep done", extra={"facts": {"sweep": sweep.file, **counts}})

    def _fail(self, sweep: SweepSettings, *problems: str) -> None:
        self._metrics.failures.labels(sweep.file).inc()
        for problem in problems:
            log.error("sweep failed", extra={"facts": {"sweep": sweep.file, "problem": problem}})


def triggers(sweep: SweepSettings, zone: str) -> list[CronTrigger]:
    """When a sweep runs."""
    days = ",".join(sweep.days) or "*"
    found = []
    for time in dict.fromkeys(sweep.at):
        hour, minute, second = (*time.split(":"), "0")[:3]
        found.append(CronTrigger(day_of_week=days, hour=hour, minute=minute, second=second, timezone=zone))
    return found


def _write(path: Path, new: Sequence[Candidate], sweep: SweepSettings) -> None:
    """Read and written at once, so that what people write meanwhile stays."""
    before = read_text(path) if path.exists() else ""
    replace_file(path, with_additions(before, [one.addition(sweep.labels) for one in new]))
