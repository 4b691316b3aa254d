"""Everything the web needs from the daemon, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from sentinel.runtime.clock import Clock, SystemClock
from sentinel.web.seams.collecting import Fleet, OnDemand, Probing
from sentinel.web.seams.daemon import Health, Reload, Tokens
from sentinel.web.seams.samples import Catalogue, Exposition, Expressions, Queries, Receiving
from sentinel.web.seams.telling import AlertIntake, Alerts, Arranged, Explaining, Incidents, Outbox, Silences


@dataclass(frozen=True, slots=True)
class Site:
    """Where the pages are served and how they speak."""

    listen: str = "127.0.0.1"
    """The address listened on."""
    external_url: str = "http://127.0.0.1:9788"
    allowed_hosts: tuple[str, ...] = ()
    """Further host names under which browsers may address the pages."""
    language: str = "en"
    timezone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))


@dataclass(frozen=True, slots=True)
class Faces:
    """Everything the web needs from the daemon."""

    expressions: Expressions
    queries: Queries
    catalogue: Catalogue
    alerts: Alerts
    incidents: Incidents
    fleet: Fleet
    exposition: Exposition
    health: Health
    tokens: Tokens
    reload: Reload
    site: Site = field(default_factory=Site)
    clock: Clock = field(default_factory=SystemClock)
    on_demand: OnDemand | None = None
    probing: Probing | None = None
    receiving: Receiving | None = None
    """None: samples from others are not taken."""
    outbox: Outbox | None = None
    silences: Silences | None = None
    alert_intake: AlertIntake | None = None
    arranged: Arranged | None = None
    explaining: Explaining | None = None
