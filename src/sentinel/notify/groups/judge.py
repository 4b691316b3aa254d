"""What is to be told of a group now. Pure.

Source of the rules for groups of labels: Alertmanager notify/notify.go (DedupStage.needsUpdate, RetryStage) and
dispatch/dispatch.go (aggrGroup.flush). They differ in one thing: the recovery of an alert that was told, and is
muted when it ends, is told when it is no longer muted. Alertmanager forgets it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sentinel.incidents.news import OPENED, OVER, REPEAT, Event
from sentinel.model.alert import AlertState
from sentinel.notify.decision import BY_PEOPLE, Matter, Obstacle
from sentinel.notify.groups.group import Group, Letter, Member, Told, Verdict
from sentinel.notify.tree import Grouping

Obstacles = Callable[[Member, Matter], Sequence[Obstacle]]
"""What stands in the way of telling this of an alert now."""

LOOK_AGAIN = 15.0
"""Seconds until another look at what is withheld for a reason whose end is not known."""
MOST = 3
"""Reasons that are named."""


def judge(
    group: Group, options: Grouping, obstacles: Obstacles, at: float, *, send_resolved: bool
) -> Verdict:
    """
    Args:
        options: of the route.
        at: Unix seconds.
        send_resolved: whether the receiver wants to hear of recoveries.
    """
    look = _by_labels if group.incident is None else _by_incident
    return look(group, options, obstacles, at, send_resolved=send_resolved)


def _by_labels(
    group: Group, options: Grouping, obstacles: Obstacles, at: float, *, send_resolved: bool
) -> Verdict:
    hidden = {
        member.alert.fingerprint: found
        for member in group.members
        if (found := obstacles(member, Matter.FIRING if member.is_open else Matter.RECOVERY))
    }
    shown = [member for member in group.members if member.alert.fingerprint not in hidden]
    firing = [member for member in shown if member.is_open]
    ended = [member for member in shown if not member.is_open]
    fresh = [member for member in firing if member.told is not Told.FIRING]
    reason = ""
    if firing:
        if fresh:
            reason = OPENED if group.sent_at is None else _more(len(fresh))
        elif ended and send_resolved:
            reason = _over(len(ended))
        elif (
            options.repeat > 0
            and _is_repeat_due(group, options, at)
            and not all(obstacles(one, Matter.REPEAT) for one in firing)
        ):
            reason = REPEAT
    elif ended and (
        any(one.told is Told.FIRING for one in group.members) or any(one.was_told for one in ended)
    ):
        reason = OVER
    letters: list[Letter] = []
    if reason and (firing or send_resolved):
        listed = firing + ended if send_resolved else firing
        event = Event.FIRING if firing else Event.RESOLVED
        letters.append(Letter(event, reason, tuple(listed), _prints(fresh)))
    told: dict[str, Told] = {}
    if reason:
        told = {one.alert.fingerprint: Told.FIRING for one in fresh}
        told |= {
            one.alert.fingerprint: Told.MUTED
            for one in group.members
            if one.told is Told.FIRING and one.alert.fingerprint in hidden
        }
    given_up = [
        one
        for one in group.members
        if one.alert.fingerprint in hidden and not one.is_open and not one.was_told
    ]
    gone = _prints(ended) | _prints(given_up)
    return Verdict(
        tuple(letters),
        told,
        gone,
        None if len(gone) == len(group.members) else _next(group, options, at),
        bool(reason),
        _named(hidden.values()),
    )


def _by_incident(
    group: Group, options: Grouping, obstacles: Obstacles, at: float, *, send_resolved: bool
) -> Verdict:
    if not group.members:
        return Verdict()
    is_over = not group.members[0].incident.is_live
    # With no time to wait for company, everything that fired is told, also what was over at once.
    untold = [
        one
        for one in group.members
        if one.told is not Told.FIRING and (one.is_open or _came_and_went(one, options, group))
    ]
    hidden = {one.alert.fingerprint: found for one in untold if (found := obstacles(one, Matter.FIRING))}
    fresh = [one for one in untold if one.alert.fingerprint not in hidden]
    letters: list[Letter] = []
    if fresh:
        listed = [_as_it_was(one) for one in group.members if one.is_open or one in fresh]
        letters.append(Letter(Event.FIRING, _why_fresh(group, fresh), tuple(listed), _prints(fresh)))
    told = {one.alert.fingerprint: Told.FIRING for one in fresh}
    if is_over:
        return _ended(group, letters, told, obstacles, at, send_resolved=send_resolved)
    for one in group.members:
        if one.told is Told.FIRING and one.is_open:
            found = [each for each in obstacles(one, Matter.FIRING) if each.why in BY_PEOPLE]
            if found:  # to be told again when the silence is over
                told[one.alert.fingerprint] = Told.MUTED
                hidden[one.alert.fingerprint] = found
    firing = [
        one
        for one in group.members
        if one.is_open and told.get(one.alert.fingerprint, one.told) is Told.FIRING
    ]
    is_again = not fresh and bool(firing) and options.repeat > 0 and _is_repeat_due(group, options, at)
    if is_again and not all(obstacles(one, Matter.REPEAT) for one in firing):
        letters.append(Letter(Event.FIRING, REPEAT, tuple(one for one in group.members if one.is_open)))
    due = [_look_again(hidden.values(), at)] if hidden else []
    if options.repeat > 0 and firing:
        since = at if letters or group.sent_at is None or is_again else group.sent_at
        due.append(since + options.repeat)
    return Verdict(
        tuple(letters),
        told,
        due_at=min(due, default=None),
        is_settled=bool(letters),
        withheld=_named(hidden.values()),
    )


def _ended(
    group: Group,
    letters: list[Letter],
    told: dict[str, Told],
    obstacles: Obstacles,
    at: float,
    *,
    send_resolved: bool,
) -> Verdict:
    """The incident is over: those who heard of it hear that."""
    heard = [one for one in group.members if one.was_told or one.alert.fingerprint in told]
    hidden = {one.alert.fingerprint: obstacles(one, Matter.RECOVERY) for one in heard}
    if heard and send_resolved and all(hidden.values()):
        due = _look_again(hidden.values(), at)
        return Verdict(tuple(letters), told, frozenset(), due, bool(letters), _named(hidden.values()))
    if heard and send_resolved:
        by = group.members[0].incident.resolved_by
        reason = f"resolved by {by}" if by else OVER
        letters.append(Letter(Event.RESOLVED, reason, tuple(group.members)))
    return Verdict(tuple(letters), {}, _prints(group.members), None, bool(letters))


def _came_and_went(member: Member, options: Grouping, group: Group) -> bool:
    """Not what was withheld while it fired: nothing of it is left to be told."""
    fired_at, flushed_at = member.alert.fired_at, group.flushed_at
    was_withheld = bool(group.withheld) and flushed_at is not None and (fired_at or 0.0) <= flushed_at
    return options.wait == 0 and not member.was_told and not was_withheld


def _as_it_was(member: Member) -> Member:
    """What came and went was firing when it had to be told."""
    if member.is_open:
        return member
    alert = replace(member.alert, state=AlertState.FIRING, resolved_at=None)
    return replace(member, alert=alert)


def _why_fresh(group: Group, fresh: Sequence[Member]) -> str:
    if all(one.told is Told.MUTED for one in fresh):
        return "still firing after it was muted"
    return OPENED if group.sent_at is None else _more(len(fresh))


def _is_repeat_due(group: Group, options: Grouping, at: float) -> bool:
    if group.sent_at is None:
        return False
    # Groups of labels: as in Alertmanager, the look at the very instant is too early.
    due = group.sent_at + options.repeat
    return due < at if group.incident is None else due <= at


def _next(group: Group, options: Grouping, at: float) -> float:
    """The next look: one interval after this one was due, unless that has passed."""
    due = (at if group.due_at is None else group.due_at) + options.interval
    return due if due > at else at + options.interval


def _look_again(obstacles: Iterable[Sequence[Obstacle]], at: float) -> float:
    """When something withheld may be told: nothing of an alert is before all that is in its way has ended."""
    return min(
        max(
            (max(each.until, at + 1.0) if each.until is not None else at + LOOK_AGAIN for each in found),
            default=at,
        )
        for found in obstacles
    )


def _named(obstacles: Iterable[Sequence[Obstacle]]) -> str:
    texts = dict.fromkeys(str(each) for found in obstacles for each in found)
    first = list(texts)[:MOST]
    return "; ".join(first) + (f"; {len(texts) - MOST} more" if len(texts) > MOST else "")


def _prints(members: Iterable[Member]) -> frozenset[str]:
    return frozenset(member.alert.fingerprint for member in members)


def _more(count: int) -> str:
    return f"{count} more alert{'s' if count > 1 else ''}"


def _over(count: int) -> str:
    return f"{count} alert{'s are' if count > 1 else ' is'} over"
