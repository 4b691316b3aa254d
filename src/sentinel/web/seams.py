"""What the web asks of the rooms below it: small protocols, wired by the daemon into one `Faces`."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, Protocol, TypeVar
from zoneinfo import ZoneInfo

from sentinel.collect.poll import PollStatus
from sentinel.collect.probes.resolve import Policy
from sentinel.collect.snmp.on_demand import Scrape
from sentinel.config.matchers import Matcher as LabelMatcher
from sentinel.config.settings import Settings
from sentinel.incidents.incidents import IncidentRecord
from sentinel.incidents.received.posted import Posted
from sentinel.incidents.received.received import Verdict as AlertVerdict
from sentinel.model.alert import Alert
from sentinel.model.batch import Family, Reading
from sentinel.model.incident import Grade, Incident, IncidentState
from sentinel.model.labels import Labels
from sentinel.model.problem import Problem
from sentinel.model.target import Target
from sentinel.notify.decision import Circumstances
from sentinel.notify.desk import MessageRecord
from sentinel.notify.explaining import Explanation
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.preview import Preview
from sentinel.notify.mutes.silence import Draft, Kind, Silence, State
from sentinel.notify.tree import Route
from sentinel.promql.service import Question, Reply
from sentinel.promql.value import Value
from sentinel.rules.status import GroupStatus
from sentinel.runtime.clock import Clock, SystemClock
from sentinel.series.index.matcher import Matcher
from sentinel.series.remote.verdict import Verdict
from sentinel.series.text.exposition import Style

Result = TypeVar("Result")
Scope = Literal["self", "fleet"]
Matchers = tuple[Matcher, ...]


class Expression(Protocol):
    """A compiled PromQL expression."""

    def instant(self, at: float, /) -> Value:
        """Its value at that moment; reads memory only and returns within milliseconds.

        Raises:
            EvaluationError: it gives no result on the samples there are, or would cost too much.
        """
        ...


class Expressions(Protocol):
    """PromQL over the recent samples."""

    def compile(self, text: str, /) -> Expression:
        """Raises: ExpressionError: not an expression, or one that is not supported."""
        ...


class Queries(Protocol):
    """PromQL over all samples, for people and their tools."""

    async def ask(self, question: Question, gone: threading.Event, /) -> Reply:
        """
        Args:
            gone: set when nobody waits for the answer any more.
        Raises:
            ExpressionError: not an expression, or one that is not supported.
            EvaluationError: no result on the samples there are, too much work, or nobody waits.
        """
        ...

    async def work(self, function: Callable[[], Result], /) -> Result:
        """Something that takes long, away from the event loop."""
        ...


class Catalogue(Protocol):
    """Which series there are; times are Unix seconds. Raises: EvaluationError, as queries."""

    async def series(
        self, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event, /
    ) -> Sequence[Labels]:
        """Those that satisfy one of the sets of matchers, sorted."""
        ...

    async def names(
        self, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event, /
    ) -> Sequence[str]:
        """Their label names; without matchers those of all."""
        ...

    async def values(
        self, name: str, wanted: Sequence[Matchers], start: float, end: float, gone: threading.Event, /
    ) -> Sequence[str]:
        """The values of a label in them; without matchers in all."""
        ...

    def families(self) -> Mapping[str, Family]: ...

    def counts(self) -> Mapping[str, int]:
        """How many recent series each metric has."""
        ...

    def times(self) -> tuple[float, float]:
        """Of the oldest and the newest recent sample."""
        ...


class Alerts(Protocol):
    """Alerts and the rules they come from."""

    def active(self) -> Sequence[Alert]:
        """Pending, firing and unknown alerts."""
        ...

    @property
    def groups(self) -> Sequence[GroupStatus]: ...


class IncidentList(Protocol):
    """Incidents as people read them."""

    async def list(
        self, states: Iterable[IncidentState], *, limit: int, after: int | None = None
    ) -> Sequence[Incident]:
        """Those in one of the states, newest first; after: those below that number."""
        ...

    async def show(self, number: int, /) -> IncidentRecord:
        """Raises: NoSuchIncidentError."""
        ...


class IncidentActs(Protocol):
    """What people do with incidents.

    Each raises NoSuchIncidentError, or NotPossibleError where the incident's state forbids it.
    """

    async def acknowledge(self, number: int, actor: str, note: str, /) -> Incident: ...

    async def resolve(self, number: int, actor: str, note: str, /) -> Incident: ...

    async def note(self, number: int, actor: str, text: str, /) -> Incident: ...


class Incidents(IncidentList, IncidentActs, Protocol):
    """Both sides of incidents."""


class Fleet(Protocol):
    """What is polled."""

    def status(self) -> Sequence[PollStatus]: ...


class Exposition(Protocol):
    """The text of /metrics."""

    def parts(self, scopes: Collection[Scope], matchers: Sequence[str], style: Style, /) -> Iterator[bytes]:
        """Series of the daemon itself, of the fleet or of both, each part the work of some milliseconds.

        Args:
            matchers: only series that one of them picks; none: all.
        Raises:
            ExpressionError: a matcher is not a series selector, or is not supported.
        """
        ...


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the daemon itself does."""

    started_at: float
    rules_at: float | None = None
    """Unix seconds of the last rule tick; None before the first."""
    polls_per_second: float = 0.0
    """Mean over the last minute."""
    outbox_waiting: int = 0
    """Messages that still have to reach somebody."""
    outbox_dead: int = 0
    """Messages given up."""


class Health(Protocol):
    """Whether the daemon works."""

    def sick(self) -> Sequence[str]:
        """Why it should be restarted; empty when healthy."""
        ...

    def unready(self) -> Sequence[str]:
        """Why it cannot do its work now; empty when ready."""
        ...

    def vitals(self) -> Vitals: ...


class Tokens(Protocol):
    """API tokens."""

    async def verify(self, text: str, /, *, sends: bool = False) -> str | None:
        """Name of the valid operator token with that text.

        Args:
            sends: it is for handing in samples: a sender's token will do, and a revoked one may for some seconds.
        """
        ...


@dataclass(frozen=True, slots=True)
class OnDemandRules:
    """What may be polled on demand, by the configuration in force."""

    targets: Sequence[Target] = ()
    networks: Sequence[IPv4Network | IPv6Network] = ()
    """Where any address may be polled."""
    modules: Collection[str] = ()
    """SNMP modules."""
    auths: Collection[str] = ()
    """SNMP auths."""


class OnDemand(Protocol):
    """SNMP polls on demand."""

    def rules(self) -> OnDemandRules: ...

    async def scrape(self, target: Target, module: str, /, *, context: str, timeout: float) -> Scrape:
        """One poll. Raises: PollError: nothing could be read."""
        ...


@dataclass(frozen=True, slots=True)
class ProbeRules:
    """What may be probed on demand, by the configuration in force."""

    targets: Sequence[Target] = ()
    networks: Sequence[IPv4Network | IPv6Network] = ()
    """Where other addresses may be probed too."""
    probers: Mapping[str, str] = field(default_factory=dict)
    """The prober of each probe module."""


class Probing(Protocol):
    """Probes on demand."""

    def rules(self) -> ProbeRules: ...

    async def probe(self, target: Target, module: str, /, *, policy: Policy, timeout: float) -> Reading:
        """One probe; one that fails is a reading too. Raises: PollError: it could not be made."""
        ...


class Receiving(Protocol):
    """Samples from others."""

    async def take(self, body: bytes, sender: str, /) -> Verdict:
        """A remote write request. Raises: WireError: it cannot be read."""
        ...


class Outbox(Protocol):
    """Messages, and what people do with them. Each act raises NoSuchMessageError or NotPossibleError."""

    async def list(
        self, states: Sequence[str], *, receiver: str, limit: int, after: int | None
    ) -> Sequence[MessageRecord]:
        """Newest first; without states those that are not delivered."""
        ...

    async def retry(
        self, numbers: Sequence[int], receiver: str, actor: str, /
    ) -> Sequence[MessageRecord]: ...

    async def drop(self, numbers: Sequence[int], actor: str, reason: str, /) -> Sequence[MessageRecord]: ...


class Explaining(Protocol):
    """Why an alert was told or not."""

    async def explain(self, fingerprint: str, /) -> Explanation:
        """Raises: NoSuchAlertError."""
        ...


class SilenceList(Protocol):
    """Silences and maintenance windows as people read them."""

    @property
    def mutes(self) -> Mutes:
        """What they mute now."""
        ...

    def get(self, id_: str, kind: Kind | None, /) -> Silence:
        """Raises: NoSuchSilenceError."""
        ...

    def list(
        self,
        *,
        kind: Kind | None,
        states: Collection[State],
        matchers: Sequence[LabelMatcher],
        created_by: str,
    ) -> Sequence[Silence]: ...


class SilenceActs(Protocol):
    """What people do with them. Each raises InvalidSilenceError or NoSuchSilenceError."""

    def preview(self, draft: Draft, actor: str, /) -> Preview: ...

    async def put(self, draft: Draft, actor: str, /) -> Silence: ...

    async def expire(self, id_: str, actor: str, kind: Kind | None, /) -> Silence: ...


class Silences(SilenceList, SilenceActs, Protocol):
    """Both sides of silences."""


class AlertIntake(Protocol):
    """Alerts from others."""

    async def take(self, posted: Sequence[Posted], sender: str, /) -> AlertVerdict:
        """Raises: NotCommittedError: the database does not take them now."""
        ...


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Who is told what, by the configuration in force."""

    settings: Settings
    circumstances: Circumstances = field(default_factory=Circumstances)
    route: Route | None = None
    """None: nobody is told."""

    @property
    def resolve_timeout(self) -> float:
        """Seconds."""
        return self.settings.resolve_timeout


Arranged = Callable[[], Arrangement]

Reload = Callable[[], Awaitable[Sequence[Problem]]]
"""Read the whole configuration again. Empty: it is in force; otherwise nothing has changed."""


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


GRADES = tuple(Grade)
"""Gravest first."""
