"""What the web asks about alerts, incidents, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sentinel.config.matchers import Matcher as LabelMatcher
from sentinel.config.settings import Settings
from sentinel.incidents.incidents import IncidentRecord
from sentinel.incidents.received.posted import Posted
from sentinel.incidents.received.received import Verdict as AlertVerdict
from sentinel.model.alert import Alert
from sentinel.model.incident import Incident, IncidentState
from sentinel.notify.decision import Circumstances
from sentinel.notify.desk import MessageRecord
from sentinel.notify.explaining import Explanation
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.preview import Preview
from sentinel.notify.mutes.silence import Draft, Kind, Silence, State
from sentinel.notify.tree import Route
from sentinel.rules.status import GroupStatus


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
