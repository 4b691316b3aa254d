"""In-memory rooms behind the web's seams: the seams are the unit here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sentinel.collect.watch import PollStatus
from sentinel.incidents.incidents import IncidentRecord, NoSuchIncidentError, NotPossibleError
from sentinel.model.alert import Alert, AlertState
from sentinel.model.batch import Family
from sentinel.model.incident import Entry, EntryKind, Grade, Incident, IncidentState
from sentinel.model.labels import Labels
from sentinel.model.problem import Problem
from sentinel.model.target import Target
from sentinel.promql.errors import EvaluationError, ExpressionError
from sentinel.promql.evaluation import Matrix
from sentinel.promql.service import Question, Reply
from sentinel.promql.value import SeriesSet, Value, Vector
from sentinel.rules.rule import AlertingRule, RecordingRule, RuleGroup
from sentinel.rules.seams import Evaluation
from sentinel.rules.status import GroupStatus, RuleStatus
from sentinel.rules.template import parse_template
from sentinel.runtime.clock import Clock, ManualClock
from sentinel.series.index.symbols import Symbols
from sentinel.series.index.table import LabelTable
from sentinel.series.text.exposition import Style
from sentinel.web.seams.daemon import Vitals
from sentinel.web.seams.faces import Faces, Site
from sentinel.web.seams.samples import Matchers, Result, Scope

TOKEN = "stl_ok"
SENDER_TOKEN = "stl_sender"
NOW = 1_700_000_000.0


def vector(*samples: tuple[dict[str, str], float]) -> Vector:
    labels = tuple(Labels(labels) for labels, _ in samples)
    return Vector(SeriesSet(labels), np.arange(len(samples)), np.array([value for _, value in samples]))


@dataclass
class FakeExpression:
    value: Value | EvaluationError

    def instant(self, at: float) -> Value:
        if isinstance(self.value, EvaluationError):
            raise self.value
        return self.value


@dataclass
class FakeExpressions:
    answers: dict[str, Value | EvaluationError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def compile(self, text: str) -> FakeExpression:
        self.asked.append(text)
        if text not in self.answers:
            raise ExpressionError(len(text), "not in this fake")
        return FakeExpression(self.answers[text])


@dataclass
class FakeQueries:
    """Answers ranges with a ramp."""

    expressions: FakeExpressions
    asked: list[Question] = field(default_factory=list)
    gone: list[threading.Event] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)

    async def ask(self, question: Question, gone: threading.Event) -> Reply:
        self.asked.append(question)
        self.gone.append(gone)
        value = self.expressions.compile(question.text).value
        if isinstance(value, EvaluationError):
            raise value
        if not question.step:
            return Reply(value, self.warnings, self.infos)
        times = np.arange(question.start, question.end + question.step / 2, question.step)
        values = (times - NOW)[None, :]
        table = LabelTable.of(Symbols(), [Labels({"__name__": "ramp"})])
        matrix = Matrix(table, times, values, np.ones(values.shape, np.bool_))
        return Reply(matrix, self.warnings, self.infos)

    async def work(self, function: Callable[[], Result]) -> Result:
        return function()


@dataclass
class FakeCatalogue:
    found: list[Labels] = field(default_factory=list)
    asked: list[tuple[object, ...]] = field(default_factory=list)

    async def series(
        self, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event
    ) -> list[Labels]:
        self.asked.append((tuple(wanted), start, end))
        return sorted(self.found)

    async def names(
        self, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event
    ) -> list[str]:
        self.asked.append((tuple(wanted), start, end))
        return sorted({name for labels in self.found for name in labels})

    async def values(
        self, name: str, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event
    ) -> list[str]:
        self.asked.append((name, tuple(wanted), start, end))
        return sorted({labels[name] for labels in self.found if name in labels})

    def families(self) -> Mapping[str, Family]:
        return {"up": Family("gauge", "1 if the target could be read."), "x_total": Family("counter")}

    def counts(self) -> Mapping[str, int]:
        return {"up": 2, "x_total": 5}

    def times(self) -> tuple[float, float]:
        return NOW - 3600, NOW


@dataclass
class RuleText:
    """An expression that is only shown."""

    text: str
    names: frozenset[str] = frozenset()

    def instant(self, at: float) -> Value:
        raise EvaluationError("only shown")

    @property
    def is_long(self) -> bool:
        return False

    def over(self, start: float, end: float) -> Evaluation:
        raise EvaluationError("only shown")


@dataclass
class FakeAlerts:
    alerts: list[Alert] = field(default_factory=list)

    def active(self) -> Sequence[Alert]:
        return list(self.alerts)

    @property
    def groups(self) -> Sequence[GroupStatus]:
        down = AlertingRule(
            name="HostDown",
            expression=RuleText("up == 0"),
            hold=60.0,
            keep=0.0,
            labels=(("severity", parse_template("critical")),),
            annotations=(("summary", parse_template("{{ $labels.instance }} is down", ("$labels",))),),
            origin="rules/host.yml:4",
        )
        up = RecordingRule("job:up:sum", RuleText("sum by (job) (up)"), (), "rules/host.yml:9")
        group = RuleGroup("rules/host.yml", "hosts", 15.0, (down, up))
        rules = (
            RuleStatus(down, "ok", "", NOW, 0.002, tuple(self.alerts)),
            RuleStatus(up, "err", "too many series", NOW, 0.001, ()),
        )
        return [GroupStatus(group, rules, NOW, 0.003)]


@dataclass
class FakeIncidents:
    stories: dict[int, IncidentRecord] = field(default_factory=dict)
    now: float = NOW

    async def list(
        self, states: Iterable[IncidentState], *, limit: int, after: int | None = None
    ) -> Sequence[Incident]:
        wanted = set(states)
        found = [story.incident for story in self.stories.values() if story.incident.state in wanted]
        found = [incident for incident in found if after is None or incident.id < after]
        return sorted(found, key=lambda incident: -incident.id)[:limit]

    async def show(self, number: int) -> IncidentRecord:
        if number not in self.stories:
            raise NoSuchIncidentError(f"there is no incident {number}")
        return self.stories[number]

    async def acknowledge(self, number: int, actor: str, note: str) -> Incident:
        changes = {"acknowledged_at": self.now, "acknowledged_by": actor}
        return await self._change(
            number, EntryKind.ACKNOWLEDGED, actor, note, IncidentState.ACKNOWLEDGED, changes
        )

    async def resolve(self, number: int, actor: str, note: str) -> Incident:
        changes = {"resolved_at": self.now, "resolved_by": actor}
        return await self._change(number, EntryKind.RESOLVED, actor, note, IncidentState.RESOLVED, changes)

    async def note(self, number: int, actor: str, text: str) -> Incident:
        return await self._change(number, EntryKind.NOTE, actor, text, None, {})

    async def _change(
        self,
        number: int,
        kind: EntryKind,
        actor: str,
        text: str,
        state: IncidentState | None,
        changes: dict[str, object],
    ) -> Incident:
        story = await self.show(number)
        if state and not story.incident.is_live:
            raise NotPossibleError(f"incident {number} is already resolved")
        incident = replace(story.incident, state=state or story.incident.state, **changes)  # type: ignore[arg-type]
        entries = (*story.entries, Entry(self.now, kind, actor, text))
        self.stories[number] = replace(story, incident=incident, entries=entries)
        return incident


@dataclass
class FakeFleet:
    polls: list[PollStatus] = field(default_factory=list)

    def status(self) -> Sequence[PollStatus]:
        return list(self.polls)


@dataclass
class FakeExposition:
    texts: dict[str, bytes] = field(
        default_factory=lambda: {"self": b"sentinel_up 1\n", "fleet": b'up{instance="a"} 1\n'}
    )
    asked: list[tuple[tuple[str, ...], tuple[str, ...], Style]] = field(default_factory=list)

    def parts(self, scopes: Collection[Scope], matchers: Sequence[str], style: Style) -> Iterator[bytes]:
        self.asked.append((tuple(scopes), tuple(matchers), style))
        if any("{" not in matcher for matcher in matchers):
            raise ExpressionError(0, "not a series selector")
        yield from (self.texts[scope] for scope in scopes)


@dataclass
class FakeHealth:
    sick_because: list[str] = field(default_factory=list)
    unready_because: list[str] = field(default_factory=list)
    now: Vitals = field(default_factory=lambda: Vitals(NOW - 3600, NOW - 3, 13.3))

    def sick(self) -> Sequence[str]:
        return self.sick_because

    def unready(self) -> Sequence[str]:
        return self.unready_because

    def vitals(self) -> Vitals:
        return self.now


class FakeTokens:
    async def verify(self, text: str, *, sends: bool = False) -> str | None:
        if sends and text == SENDER_TOKEN:
            return "prometheus"
        return "li.wei" if text == TOKEN else None


@dataclass
class FakeReload:
    problems: list[Problem] = field(default_factory=list)
    count: int = 0

    async def __call__(self) -> Sequence[Problem]:
        self.count += 1
        return self.problems


@dataclass
class Rooms:
    """All fakes together, and the faces over them."""

    expressions: FakeExpressions = field(default_factory=FakeExpressions)
    catalogue: FakeCatalogue = field(default_factory=FakeCatalogue)
    alerts: FakeAlerts = field(default_factory=FakeAlerts)
    incidents: FakeIncidents = field(default_factory=FakeIncidents)
    fleet: FakeFleet = field(default_factory=FakeFleet)
    exposition: FakeExposition = field(default_factory=FakeExposition)
    health: FakeHealth = field(default_factory=FakeHealth)
    tokens: FakeTokens = field(default_factory=FakeTokens)
    reload: FakeReload = field(default_factory=FakeReload)
    site: Site = field(default_factory=Site)
    clock: Clock = field(default_factory=lambda: ManualClock(NOW))

    def __post_init__(self) -> None:
        self.queries = FakeQueries(self.expressions)

    def faces(self) -> Faces:
        return Faces(
            self.expressions,
            self.queries,
            self.catalogue,
            self.alerts,
            self.incidents,
            self.fleet,
            self.exposition,
            self.health,
            self.tokens,
            self.reload,
            self.site,
            self.clock,
        )


def poll(
    name: str,
    module: str = "linux",
    *,
    up: bool | None = True,
    labels: dict[str, str] | None = None,
    detail: str = "",
    now: float = NOW,
) -> PollStatus:
    target = Target(name, "192.0.2.1", 22, (module,), labels=Labels(labels or {}), origin="config.toml:10")
    reason = "timeout" if up is False else ""
    return PollStatus(
        target.source(module),
        target,
        up=up,
        at=None if up is None else now - 12,
        duration=0.041,
        samples=412,
        reason=reason,
        detail=detail,
        since=None if up is None else now - 500,
    )


def alert(
    name: str,
    instance: str,
    *,
    state: AlertState = AlertState.FIRING,
    severity: str = "warning",
    **notes: str,
) -> Alert:
    labels = Labels({"alertname": name, "instance": instance, "severity": severity})
    notes = {"summary": f"{name} on {instance}"} | notes
    return Alert(
        labels.fingerprint(), "host.yml;hosts", labels, Labels(notes), state, 1.0, NOW - 300, NOW - 240
    )


def incident(
    number: int,
    grade: Grade = Grade.III,
    state: IncidentState = IncidentState.OPEN,
    *,
    title: str = "Something is wrong",
    target: str = "web1",
    age: float = 600.0,
    alerts: tuple[Alert, ...] = (),
    now: float = NOW,
) -> IncidentRecord:
    known = Incident(number, f"k{number}", state, grade, title, target, now - age)
    if state is not IncidentState.OPEN:
        known = replace(known, acknowledged_at=now - age / 2, acknowledged_by="wang.fang")
    if state is IncidentState.RESOLVED:
        known = replace(known, resolved_at=now - 60)
    entries = (
        Entry(now - age, EntryKind.OPENED, "sentinel", title),
        Entry(now - age, EntryKind.ALERT_FIRING, "sentinel", "HostDown"),
        Entry(now - age + 1, EntryKind.NOTIFIED, "sentinel", "webhook duty"),
    )
    return IncidentRecord(known, alerts, entries, ())
