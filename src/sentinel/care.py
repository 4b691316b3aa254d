"""What happens by the calendar: nightly backup and retention."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from prometheus_client import CollectorRegistry

from sentinel.db.backup import BackupError
from sentinel.db.care import CareMetrics, nightly_backup, retention
from sentinel.db.database import Database, is_passing
from sentinel.reload import Configuration

log = logging.getLogger(__name__)

BACKUPS = "backups"
"""Folder below the data folder."""

LATENESS = 3600
"""Seconds by which a job may start late, after a suspended machine woke up."""


class Care:
    """Runs the calendar's jobs with the configuration in force at the time."""

    def __init__(
        self, db: Database, registry: CollectorRegistry, configuration: Callable[[], Configuration]
    ) -> None:
        self._db = db
        self._metrics = CareMetrics(registry)
        self._configuration = configuration

    async def run(self) -> None:
        """Until cancelled."""
        settings = self._configuration().settings
        await asyncio.to_thread(self._remember_backups, self._configuration().data_dir / BACKUPS)
        hour, minute = settings.care.backup_at.split(":")
        scheduler = AsyncIOScheduler(timezone=settings.daemon.timezone)
        scheduler.add_job(
            self.night,
            CronTrigger(hour=hour, minute=minute, timezone=settings.daemon.timezone),
            id="night",
            coalesce=True,
            max_instances=1,
            misfire_grace_time=LATENESS,
        )
        scheduler.start()
        try:
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)

    def _remember_backups(self, folder: Path) -> None:
        """When the last backup was made; before the first one, since when there could have been one."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        times = [path.stat().st_mtime for path in folder.glob("*.db")]
        self._metrics.backup_at.set(max(times, default=folder.stat().st_mtime))

    async def night(self) -> None:
        """Back up first, so that what retention removes is in the copy."""
        found = self._configuration()
        folder = found.data_dir / BACKUPS
        try:
            await nightly_backup(self._db, folder, keep=found.settings.care.backups, metrics=self._metrics)
        except (BackupError, OSError) as error:
            self._note("backup", error)
        try:
            await retention(self._db, found.settings.store.retention, self._metrics)
        except Exception as error:
            if not is_passing(error):
                raise
            self._note("retention", error)

    def _note(self, job: str, error: Exception) -> None:
        self._metrics.failures.labels(job).inc()
        log.error("calendar job failed", extra={"facts": {"job": job, "error": error}})
