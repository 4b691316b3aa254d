"""The daemon as the web sees it: adapters from the rooms to the seams of `web/seams.py`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from sentinel.collect.drivers import OWN, Drivers
from sentinel.collect.poll import PollLoops
from sentinel.collect.probes.resolve import Policy
from sentinel.collect.snmp.on_demand import Scrape
from sentinel.config.auth import SnmpAuth
from sentinel.config.settings import Settings
from sentinel.db.database import Database
from sentinel.db.tokens import digest, verify_token
from sentinel.incidents.incidents import Incidents
from sentinel.incidents.ledger import Ledger
from sentinel.incidents.received.received import Received
from sentinel.model.alert import Alert
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.notify.desk import Desk
from sentinel.notify.dispatch import Dispatch
from sentinel.notify.explaining import Explainer
from sentinel.notify.mutes.silences import Silences
from sentinel.promql.catalogue import Catalogue
from sentinel.promql.engine import Engine
from sentinel.promql.selector import parse_selector
from sentinel.promql.service import QueryService
from sentinel.reload import Configuration
from sentinel.rules.engine import RuleEngine
from sentinel.rules.status import GroupStatus
from sentinel.runtime.clock import Clock
from sentinel.series.head import Head
from sentinel.series.index.matcher import Matcher, MatchOperator
from sentinel.series.remote.intake import Intake
from sentinel.series.text.exposition import Style, parts
from sentinel.series.text.openmetrics import END
from sentinel.web.seams.collecting import OnDemandRules, ProbeRules
from sentinel.web.seams.daemon import Reload, Vitals
from sentinel.web.seams.faces import Faces, Site
from sentinel.web.seams.samples import Scope
from sentinel.web.seams.telling import Arrangement

WRITERS = ("operator", "admin")
SENDERS = ("sender", *WRITERS)
SENDER_KNOWN = 5.0
"""Seconds for which a token that was valid is taken as valid again, for samples only."""

STUCK = 30.0
"""Seconds without a sign of life from the rule loop after which the daemon counts as sick."""


def build_faces(
    settings: Settings,
    *,
    clock: Clock,
    registry: CollectorRegistry,
    head: Head,
    engine: Engine,
    queries: QueryService,
    rules: RuleEngine,
    ledger: Ledger,
    incidents: Incidents,
    loops: PollLoops,
    db: Database,
    reload: Reload,
    drivers: Drivers,
    running: Callable[[], Configuration],
    intake: Intake,
    desk: Desk,
    silences: Silences,
    explaining: Explainer,
    received: Received,
    dispatch: Callable[[], Dispatch],
) -> Faces:
    """Everything the web needs, out of the daemon's parts."""
    site = Site(
        listen=settings.web.address[0],
        external_url=settings.external_url,
        allowed_hosts=settings.web.allowed_hosts,
        language=settings.daemon.language,
        timezone=settings.daemon.timezone,
    )
    return Faces(
        expressions=engine,
        queries=queries,
        catalogue=Catalogue(engine, queries, clock),
        alerts=_Alerts(rules, received),
        incidents=incidents,
        fleet=loops,
        exposition=_Exposition(head, registry, clock),
        health=_Health(clock=clock, registry=registry, rules=rules, ledger=ledger, loops=loops, db=db),
        tokens=_Tokens(db, clock),
        reload=reload,
        site=site,
        clock=clock,
        on_demand=_OnDemand(drivers, running),
        probing=_Probing(drivers, running),
        receiving=intake if settings.intake.enabled else None,
        outbox=desk,
        silences=silences,
        explaining=explaining,
        alert_intake=received,
        arranged=lambda: Arrangement(running().settings, dispatch().circumstances, dispatch().route),
    )


class _Alerts:
    """Those of our rules, and those that others send."""

    def __init__(self, rules: RuleEngine, received: Received) -> None:
        self._rules = rules
        self._received = received

    def active(self) -> Sequence[Alert]:
        return [*self._rules.active(), *self._received.active()]

    @property
    def groups(self) -> Sequence[GroupStatus]:
        return self._rules.groups


class _OnDemand:
    """Polls on demand within what the configuration in force allows."""

    def __init__(self, drivers: Drivers, running: Callable[[], Configuration]) -> None:
        self._drivers = drivers
        self._running = running

    def rules(self) -> OnDemandRules:
        running = self._running()
        return OnDemandRules(
            targets=running.targets,
            networks=running.settings.web.snmp_targets,
            modules=running.modules.snmp.keys(),
            auths={name for name, auth in running.settings.auth.items() if isinstance(auth, SnmpAuth)},
        )

    async def scrape(self, target: Target, module: str, /, *, context: str, timeout: float) -> Scrape:
        return await self._drivers.scrape(target, module, context=context, timeout=timeout)


class _Probing:
    """Probes on demand within what the configuration in force allows."""

    def __init__(self, drivers: Drivers, running: Callable[[], Configuration]) -> None:
        self._drivers = drivers
        self._running = running

    def rules(self) -> ProbeRules:
        running = self._running()
        return ProbeRules(
            targets=running.targets,
            networks=running.settings.web.probe_targets,
            probers={name: module.prober for name, module in running.modules.probes.items()},
        )

    async def probe(self, target: Target, module: str, /, *, policy: Policy, timeout: float) -> Reading:
        return await self._drivers.probe(target, module, policy=policy, timeout=timeout)


class _Exposition:
    def __init__(self, head: Head, registry: CollectorRegistry, clock: Clock) -> None:
        self._head = head
        self._registry = registry
        self._clock = clock

    def parts(self, scopes: Collection[Scope], matchers: Sequence[str], style: Style, /) -> Iterator[bytes]:
        at = self._clock.now()
        if matchers:
            yield from parts(self._head, at, [self._wanted(text, scopes) for text in matchers], style=style)
        else:
            if "self" in scopes:
                yield self._own(style)
            if "fleet" in scopes:
                yield from parts(self._head, at, skip_own=True, style=style)
        if style.is_openmetrics:
            yield END

    def _wanted(self, text: str, scopes: Collection[Scope]) -> tuple[Matcher, ...]:
        matchers = parse_selector(text)
        if len(scopes) > 1:
            return matchers
        operator = MatchOperator.EQUAL if "self" in scopes else MatchOperator.NOT_EQUAL
        return (*matchers, Matcher("job", operator, OWN))

    def _own(self, style: Style) -> bytes:
        if style.is_openmetrics:
            own: bytes = generate_openmetrics(self._registry)  # type: ignore[no-untyped-call]
            return own.removesuffix(END)
        return generate_latest(self._registry)


class _Health:
    def __init__(
        self,
        *,
        clock: Clock,
        registry: CollectorRegistry,
        rules: RuleEngine,
        ledger: Ledger,
        loops: PollLoops,
        db: Database,
    ) -> None:
        self._clock = clock
        self._registry = registry
        self._rules = rules
        self._ledger = ledger
        self._loops = loops
        self._db = db
        self._started_at = clock.now()

    def sick(self) -> Sequence[str]:
        silent = self._clock.monotonic() - self._rules.last_tick
        return [f"the rule loop has not moved for {silent:.0f} s"] if silent > STUCK else []

    def unready(self) -> Sequence[str]:
        reasons = list(self.sick())
        if self._db.is_short_of_space:
            reasons.append("the disk is full")
        if self._ledger.is_failing:
            reasons.append("the database does not take changes")
        return reasons

    def vitals(self) -> Vitals:
        ticks = [one.last_evaluation for one in self._rules.groups if one.last_evaluation is not None]
        return Vitals(
            started_at=self._started_at,
            rules_at=max(ticks, default=None),
            polls_per_second=self._loops.polls_per_second(),
            outbox_waiting=int(_total(self._registry, "sentinel_outbox_pending")),
            outbox_dead=int(_total(self._registry, "sentinel_outbox_dead")),
        )


class _Tokens:
    """Looks tokens up; one that sends samples every moment is looked up now and then."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._senders: dict[str, tuple[float, str]] = {}
        """By digest: until when (monotonic seconds) the token counts as valid, and its name."""

    async def verify(self, text: str, /, *, sends: bool = False) -> str | None:
        if not sends:
            token = await verify_token(self._db, text)
            return token.name if token is not None and token.role in WRITERS else None
        key, now = digest(text), self._clock.monotonic()
        until, name = self._senders.get(key, (now, ""))
        if now < until:
            return name
        token = await verify_token(self._db, text)
        if token is None or token.role not in SENDERS:
            self._senders.pop(key, None)
            return None
        self._senders = {each: known for each, known in self._senders.items() if known[0] > now}
        self._senders[key] = (now + SENDER_KNOWN, token.name)
        return token.name


def _total(registry: CollectorRegistry, name: str) -> float:
    """The sum over all label values of one of the daemon's own metrics."""
    return sum(
        sample.value
        for metric in registry.restricted_registry([name, f"{name}_total"]).collect()
        for sample in metric.samples
        if sample.name in (name, f"{name}_total")
    )
