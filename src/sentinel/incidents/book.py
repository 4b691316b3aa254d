"""How alert changes move incidents. Pure: cases in, changed cases out; the ledger reads and writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from sentinel.incidents import grade as grading
from sentinel.incidents.correlation import Correlate, key_of
from sentinel.incidents.news import OPENED, OVER, Event, News
from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.model.incident import Entry, EntryKind, Grade, Incident, IncidentState
from sentinel.model.labels import Labels

OWN = "sentinel"
MAX_TITLE = 200
MAX_TEXT = 2000
DEFAULT_CRITICALITY = 3


def one_line(text: str, limit: int) -> str:
    """Text of devices and people as one printable line of bounded length."""
    plain = "".join(char if char.isprintable() else " " for char in text[: 4 * limit])
    plain = " ".join(plain.split())
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def title_of(alert: Alert) -> str:
    """The alert's summary, or its name and target."""
    summary = alert.annotations.get("summary", "")
    instance, name = alert.labels.get("instance", ""), alert.name or str(alert.labels)
    return one_line(summary or (f"{name} on {instance}" if instance else name), MAX_TITLE)


@dataclass(slots=True, eq=False)
class Case:
    """An incident with its alerts while changes are applied to it."""

    incident: Incident
    """Number 0 until it is stored."""
    grouping: Labels
    members: dict[str, Alert] = field(default_factory=dict)
    """By fingerprint; one that is firing or unknown is held by this incident."""
    entries: list[Entry] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)
    news: list[News] = field(default_factory=list)
    is_new: bool = False

    @property
    def held(self) -> int:
        return sum(alert.is_open for alert in self.members.values())

    def note(self, at: float, kind: EntryKind, text: str, actor: str = OWN) -> None:
        self.entries.append(Entry(at, kind, actor, one_line(text, MAX_TEXT)))

    def put(self, alert: Alert) -> None:
        self.members[alert.fingerprint] = alert
        self.touched.add(alert.fingerprint)

    def tell(self, event: Event, at: float, reason: str) -> None:
        alerts = tuple(self.members.values())
        news = News(event, at, self.incident, self.grouping, alerts, frozenset(self.fresh), reason=reason)
        self.news.append(news)
        if event is Event.FIRING:
            self.fresh.clear()


class Book:
    """The cases that a tick's changes concern."""

    def __init__(
        self,
        cases: Iterable[Case],
        *,
        correlate: Correlate,
        criticality_of: Callable[[str], int] = lambda _: DEFAULT_CRITICALITY,
    ) -> None:
        self.cases = list(cases)
        self._correlate = correlate
        self._criticality_of = criticality_of
        self._live = {case.incident.key: case for case in self.cases if case.incident.is_live}
        self._open: dict[int, int] = {id(case): case.held for case in self.cases}
        self._holders = {
            fingerprint: case
            for case in self.cases
            for fingerprint, alert in case.members.items()
            if alert.is_open
        }

    def apply(self, changes: Iterable[AlertChange]) -> list[Case]:
        """The cases with everything that the changes, in their order, do to them."""
        last = 0.0
        for change in changes:
            last = max(last, change.at)
            self._apply(change)
        for case in self.cases:
            self._tell_firing(case, last)
        return self.cases

    def _apply(self, change: AlertChange) -> None:
        alert = change.alert
        case = self._holders.get(alert.fingerprint)
        if case is not None and (not alert.is_open or _is_new_episode(change)):
            self._end(case, change)
            case = None
        if not alert.is_open:
            return
        if case is None:
            case = self._join(change)
        self._go_on(case, change)

    def _join(self, change: AlertChange) -> Case:
        """The alert fires anew: into the live incident of its kind, or into a new one."""
        alert = replace(change.alert, state=AlertState.FIRING, resolved_at=None)
        grouping = self._correlate(alert)
        case = self._live.get(key_of(grouping))
        if case is None:
            case = self._opened(alert, grouping, change.at)
        case.note(change.at, EntryKind.ALERT_FIRING, title_of(alert))
        case.put(replace(alert, fired_at=alert.fired_at if alert.fired_at is not None else change.at))
        case.fresh.add(alert.fingerprint)
        self._holders[alert.fingerprint] = case
        self._open[id(case)] += 1
        return case

    def _opened(self, alert: Alert, grouping: Labels, at: float) -> Case:
        incident = Incident(
            id=0,
            key=key_of(grouping),
            state=IncidentState.OPEN,
            grade=Grade.IV,
            title=title_of(alert),
            target=alert.labels.get("instance", ""),
            opened_at=at,
        )
        case = Case(incident, grouping, is_new=True)
        case.note(at, EntryKind.OPENED, incident.title)
        self.cases.append(case)
        self._live[incident.key] = case
        self._open[id(case)] = 0
        return case

    def _go_on(self, case: Case, change: AlertChange) -> None:
        """The alert is still there: firing, or not to be read."""
        before, alert = case.members[change.alert.fingerprint], change.alert
        if before.state is not alert.state and case.incident.is_live:
            if alert.state is AlertState.UNKNOWN:
                why = f" ({change.reason})" if change.reason else ""
                case.note(change.at, EntryKind.ALERT_UNKNOWN, title_of(alert) + why)
            else:
                case.note(change.at, EntryKind.ALERT_FIRING, f"{title_of(alert)} (can be read again)")
        case.put(replace(alert, fired_at=before.fired_at, resolved_at=None))

    def _end(self, case: Case, change: AlertChange) -> None:
        """The alert is over; with the last one the incident is."""
        fingerprint = change.alert.fingerprint
        is_last = self._open[id(case)] == 1
        if is_last:
            self._tell_firing(case, change.at)
        before = case.members[fingerprint]
        case.put(replace(before, state=AlertState.INACTIVE, resolved_at=change.at))
        del self._holders[fingerprint]
        self._open[id(case)] -= 1
        if not case.incident.is_live:
            return  # closed by hand before: nobody needs to hear it again
        why = f" ({change.reason})" if change.reason else ""
        case.note(change.at, EntryKind.ALERT_RESOLVED, title_of(before) + why)
        if is_last:
            case.incident = replace(case.incident, state=IncidentState.RESOLVED, resolved_at=change.at)
            self._live.pop(case.incident.key, None)
            case.note(change.at, EntryKind.RESOLVED, OVER)
            case.tell(Event.RESOLVED, change.at, OVER)

    def _tell_firing(self, case: Case, at: float) -> None:
        if not case.fresh:
            return
        self._regrade(case, at)
        count = len(case.fresh)
        is_first = case.is_new and not case.news
        reason = OPENED if is_first else f"{count} more alert{'s' if count > 1 else ''}"
        case.tell(Event.FIRING, at, reason)

    def _regrade(self, case: Case, at: float) -> None:
        """The grade rises with what joins; it never falls by itself."""
        alerts = [alert for alert in case.members.values() if alert.is_open]
        targets = {alert.labels.get("instance", "") for alert in alerts}
        criticality = max(
            (self._criticality_of(name) for name in targets if name), default=DEFAULT_CRITICALITY
        )
        severities = {alert.labels["severity"] for alert in alerts if "severity" in alert.labels}
        now = grading.gravest(case.incident.grade, grading.grade(criticality, len(targets), severities))
        if now is case.incident.grade:
            return
        if not (case.is_new and not case.news):
            case.note(at, EntryKind.NOTE, f"grade raised from {case.incident.grade} to {now}")
        case.incident = replace(case.incident, grade=now)


def _is_new_episode(change: AlertChange) -> bool:
    """The alert has ended and fired again since we last heard of it.

    Told by the state it came from, not by its instants: those move with a step of the clock.
    """
    return change.alert.is_open and change.before in (AlertState.INACTIVE, AlertState.PENDING)
