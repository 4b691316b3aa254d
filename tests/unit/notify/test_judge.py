"""Groups over any course of events: nothing is told against a reason, nothing is forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.incidents.news import Event
from sentinel.model.alert import Alert, AlertState
from sentinel.model.incident import Incident, IncidentState
from sentinel.model.labels import Labels
from sentinel.notify.decision import Matter, Obstacle, Why
from sentinel.notify.groups.group import Group, Letter, Member, Told
from sentinel.notify.groups.judge import judge
from sentinel.notify.tree import INCIDENT, Grouping
from tests.unit.incidents.alerts import START, alert
from tests.unit.notify.news import news

ALERTS = 4
BY_LABELS = Grouping(by=("site",), wait=30.0, interval=60.0, repeat=600.0)
BY_INCIDENT = Grouping(by=INCIDENT, wait=0.0, interval=0.0, repeat=0.0)
REPEATING = Grouping(by=INCIDENT, wait=0.0, interval=0.0, repeat=300.0)

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fires", "fires", "ends", "muted", "unmuted", "behind", "reachable", "time"]),
        st.integers(0, ALERTS - 1),
        st.sampled_from([1.0, 20.0, 90.0]),
    ),
    max_size=40,
)


@dataclass(slots=True)
class World:
    """One group, and what is in the way of its alerts."""

    grouping: Grouping
    send_resolved: bool
    at: float = START
    group: Group | None = None
    muted: set[str] = field(default_factory=set)
    behind: set[str] = field(default_factory=set)
    letters: list[Letter] = field(default_factory=list)
    firing: set[str] = field(default_factory=set)

    @property
    def incident(self) -> Incident:
        return news().incident

    def obstacles(self, member: Member, matter: Matter) -> Sequence[Obstacle]:
        name = member.alert.fingerprint
        found = [Obstacle(Why.SILENCE, "")] if name in self.muted else []
        if name in self.behind and matter is not Matter.RECOVERY:
            found.append(Obstacle(Why.DEPENDENCY, ""))
        return found

    def fires(self, one: Alert) -> None:
        if one.fingerprint in self.firing:
            return
        self.firing.add(one.fingerprint)
        is_by_incident = self.grouping.by is INCIDENT
        if self.group is None:
            due = self.at + self.grouping.wait
            self.group = Group(
                1, "k", "{}", "ops", Labels(), 7 if is_by_incident else None, self.at, due, None, None, ""
            )
        others = [each for each in self.group.members if each.alert.fingerprint != one.fingerprint]
        known = [each for each in self.group.members if each.alert.fingerprint == one.fingerprint]
        told = known[0].told if known and not is_by_incident else Told.NOTHING
        members = (*others, Member(one, self.incident, told))
        due_at = self.at if is_by_incident else self.group.due_at
        self.group = replace(self.group, members=members, due_at=due_at)

    def ends(self, one: Alert) -> None:
        if one.fingerprint not in self.firing or self.group is None:
            return
        self.firing.discard(one.fingerprint)
        over = replace(one, state=AlertState.INACTIVE, resolved_at=self.at)
        members = tuple(
            replace(each, alert=over) if each.alert.fingerprint == one.fingerprint else each
            for each in self.group.members
        )
        if self.grouping.by is INCIDENT and not self.firing:
            ended = replace(self.incident, state=IncidentState.RESOLVED, resolved_at=self.at)
            members = tuple(replace(each, incident=ended) for each in members)
            self.group = replace(self.group, due_at=self.at)
        self.group = replace(self.group, members=members)

    def look(self) -> None:
        """At everything that is due by now."""
        for _ in range(1000):
            group = self.group
            if group is None or group.due_at is None or group.due_at > self.at:
                return
            at = max(group.due_at, group.flushed_at or 0.0)
            verdict = judge(group, self.grouping, self.obstacles, at, send_resolved=self.send_resolved)
            for letter in verdict.letters:
                self._check(group, letter)
            self.letters += verdict.letters
            members = tuple(
                replace(one, told=verdict.told.get(one.alert.fingerprint, one.told))
                for one in group.members
                if one.alert.fingerprint not in verdict.gone
            )
            sent = at if verdict.is_settled else group.sent_at
            after = replace(group, members=members, due_at=verdict.due_at, flushed_at=at, sent_at=sent)
            self.group = after if members else None
        raise AssertionError("looked at again and again")

    def _check(self, group: Group, letter: Letter) -> None:
        """Nothing new is told against a reason."""
        for member in letter.members:
            if member.alert.fingerprint in letter.fresh:
                assert not self.obstacles(member, Matter.FIRING)


def many() -> list[Alert]:
    return [alert(instance=f"sw{number}", site="hq") for number in range(ALERTS)]


@pytest.mark.parametrize("grouping", [BY_LABELS, BY_INCIDENT, REPEATING])
@pytest.mark.parametrize("send_resolved", [True, False])
def test_any_course_of_events(grouping: Grouping, send_resolved: bool) -> None:
    @settings(max_examples=150, deadline=None)
    @given(STEPS)
    def holds(steps: list[tuple[str, int, float]]) -> None:
        world, alerts = World(grouping, send_resolved), many()
        for what, number, seconds in steps:
            one = alerts[number]
            if what == "fires":
                world.fires(one)
            elif what == "ends":
                world.ends(one)
            elif what == "time":
                world.at += seconds
            else:
                where = world.muted if "muted" in what else world.behind
                (where.add if what in ("muted", "behind") else where.discard)(one.fingerprint)
            world.look()
        # Everything out of the way: what fires has been told, and then its end.
        world.muted.clear()
        world.behind.clear()
        world.at += 2000
        world.look()
        for member in world.group.members if world.group is not None else ():
            if member.is_open:
                assert member.told is Told.FIRING
        for one in alerts:
            world.ends(one)
        world.at += 2000
        world.look()
        assert world.group is None
        _told_in_turn(world)

    holds()


def _told_in_turn(world: World) -> None:
    """Who heard that an alert fires hears its end, and nobody else does."""
    heard: set[str] = set()
    for letter in world.letters:
        for member in letter.members:
            name = member.alert.fingerprint
            is_over = letter.event is Event.RESOLVED or not member.alert.is_open
            if not is_over:
                heard.add(name)
            elif world.grouping.by is INCIDENT:
                heard.discard(name)
            else:
                heard.discard(name)
                assert world.send_resolved
    if world.send_resolved:
        assert not heard
    else:
        assert all(letter.event is Event.FIRING for letter in world.letters)
