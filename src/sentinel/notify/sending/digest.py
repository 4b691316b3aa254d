"""Many messages in place of a flood: the facts of a digest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sentinel.incidents.news import Event
from sentinel.notify.facts import MAX_ALERTS, AlertFacts, DigestFacts, Facts

PREFIX: Final = "digest/"
"""Of the queues of digests: each has its own."""
RANKS: Final = {"I": 0, "II": 1, "III": 2, "IV": 3}
"""Of grades, the gravest first."""


@dataclass(frozen=True, slots=True)
class Part:
    """A message that is put together with others, in the order in which they were committed."""

    id: int
    queue: str
    facts: Facts


@dataclass(frozen=True, slots=True)
class _Listed:
    alert: AlertFacts
    grade: str
    is_over: bool

    @property
    def rank(self) -> tuple[bool, int, float]:
        return self.is_over, RANKS.get(self.grade, len(RANKS)), self.alert["starts_at"]


def digest_of(parts: Sequence[Part], queue: str, at: float) -> Facts:
    """What fires comes first, the gravest before the others; a group stands as its last message has it.

    Args:
        queue: of the digest.
        at: Unix seconds.
    """
    last = _last(parts)
    listed = sorted(_alerts(last.values()).values(), key=lambda one: one.rank)
    total = len(listed) + sum(facts["truncated"] for facts in last.values())
    over = sum(one.is_over for one in listed)
    event = _event(last)
    main = min(last.values(), key=_gravity)
    since = min(part.facts["at"] for part in parts)
    incidents = {one for part in parts for one in (part.facts["incident"], *_further(part.facts))}
    targets = {facts["target"] for facts in last.values()}
    ended = [facts["resolved_at"] for facts in last.values() if facts["resolved_at"] is not None]
    digest = DigestFacts(
        alerts=total,
        over=over,
        groups=len(last),
        since=since,
        messages=[part.id for part in parts],
        queues=list(last),
    )
    return Facts(
        event=event.value,
        reason=f"{len(parts)} messages put together",
        at=at,
        external_url=main["external_url"],
        incident=main["incident"],
        key=main["key"],
        group_key=f"{{}}:{queue}",
        incidents=sorted(incidents - {main["incident"]})[:MAX_ALERTS],
        state=main["state"],
        grade=main["grade"],
        title=f"{_counted(total, 'alert')} in {_counted(len(last), 'group')}",
        target=targets.pop() if len(targets) == 1 else "",
        opened_at=since,
        acknowledged_by="",
        resolved_at=max(ended, default=at) if event is Event.RESOLVED else None,
        resolved_by="",
        grouping={},
        alerts=[one.alert for one in listed[:MAX_ALERTS]],
        truncated=max(0, total - MAX_ALERTS),
        total=total,
        digest=digest,
    )


def _last(parts: Sequence[Part]) -> Mapping[str, Facts]:
    """By queue its last message; an acknowledgement says less than what it is about."""
    found: dict[str, Facts] = {}
    for part in parts:
        if part.facts["event"] != Event.ACKNOWLEDGED.value or part.queue not in found:
            found[part.queue] = part.facts
    return found


def _alerts(groups: Iterable[Facts]) -> Mapping[str, _Listed]:
    return {
        alert["fingerprint"]: _Listed(alert, facts["grade"], alert["status"] == "resolved")
        for facts in groups
        for alert in facts["alerts"]
    }


def _event(last: Mapping[str, Facts]) -> Event:
    """Firing as long as anything does: an acknowledgement alone is about what was told before."""
    events = {facts["event"] for facts in last.values()}
    for event in (Event.FIRING, Event.RESOLVED):
        if event.value in events:
            return event
    return Event.ACKNOWLEDGED


def _gravity(facts: Facts) -> tuple[bool, int, float]:
    is_over = facts["event"] == Event.RESOLVED.value
    return is_over, RANKS.get(facts["grade"], len(RANKS)), facts["at"]


def _further(facts: Facts) -> Sequence[int]:
    return facts.get("incidents", [])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
