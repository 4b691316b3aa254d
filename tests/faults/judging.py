"""Judges a run of killed daemons: what was committed, and what should have been, against what was heard."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from tests.faults.daemon_killing import BY_INCIDENT, BY_SITE, CONCURRENCY, RECEIVERS, Run
from tests.servers.sinks import Mail, Post

EDGE = 0.01
"""Seconds around the beginning and end of an alert in which an evaluation may have found either."""

Heard = Mapping[str, Sequence[Post | Mail]]


class Message(NamedTuple):
    """A row of the outbox."""

    key: str
    incident: int
    receiver: str
    event: str
    state: str


class Episode(NamedTuple):
    """An alert in its incident; Unix seconds."""

    incident: int
    number: int
    fired_at: float
    resolved_at: float


@dataclass(slots=True)
class Verdict:
    kills: int
    alerts: int
    seconds: float
    incidents: int = 0
    posts: int = 0
    mails: int = 0
    groups: int = 0
    repeats: int = 0
    most: int = 0
    """Repeats of one receiver after one kill, at most."""
    told: int = 0
    """Alerts that were told at all."""
    watched: int = 0
    """Alerts that fired when their rule was evaluated in a long life, so that they had to be told."""
    lost: list[str] = field(default_factory=list)
    split: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """Anything else that must not be: invented, out of order, repeated without a kill or under another key."""

    @property
    def bound(self) -> int:
        """Repeats allowed: what may have been on its way at each kill."""
        return self.kills * CONCURRENCY * len(RECEIVERS)

    @property
    def faults(self) -> list[str]:
        few = [f"{self.told} of {self.alerts} alerts were told"] if self.told < self.alerts else []
        many = [f"{self.repeats} repeats"] if self.repeats > self.bound else []
        return [*self.lost, *self.split, *self.wrong, *few, *many]


def judge(run: Run) -> Verdict:
    rhythm = run.rhythm
    verdict = Verdict(run.kills, rhythm.alerts, run.seconds)
    with closing(sqlite3.connect(run.database)) as connection:
        messages = [
            Message(*row)
            for row in connection.execute(
                "SELECT key, incident_id, receiver, event, state FROM outbox ORDER BY id"
            )
        ]
        incidents = connection.execute(
            "SELECT id, key, state, opened_at, resolved_at FROM incident ORDER BY opened_at, id"
        ).fetchall()
        episodes = [
            Episode(*row)
            for row in connection.execute(
                "SELECT incident_id, CAST(labels ->> 'number' AS INTEGER), fired_at, resolved_at"
                " FROM incident_alert"
            )
        ]
    heard: Heard = {"hook": run.posts, "mail": run.mails, BY_SITE: run.groups}
    verdict.incidents = len(incidents)
    verdict.posts, verdict.mails, verdict.groups = len(run.posts), len(run.mails), len(run.groups)
    verdict.told = len({one.number for one in episodes})
    _judge_messages(verdict, messages, heard)
    _judge_repeats(verdict, run, heard)
    _judge_stories(verdict, messages, heard, [row[0] for row in incidents])
    _judge_incidents(verdict, run, incidents, episodes)
    _judge_groups(verdict, run, episodes)
    _judge_evaluations(verdict, run, episodes)
    return verdict


def _judge_messages(verdict: Verdict, messages: Sequence[Message], heard: Heard) -> None:
    """What was committed was heard, and nothing else was."""
    keys = {name: {one.key for one in arrived} for name, arrived in heard.items()}
    for one in messages:
        if one.key not in keys[one.receiver]:
            verdict.lost.append(f"message {one.key} to {one.receiver}: {one.event} of {one.incident}")
        if one.state != "delivered":
            verdict.wrong.append(f"message {one.key} to {one.receiver} is {one.state}")
    committed = {(one.receiver, one.key) for one in messages}
    verdict.wrong += [
        f"heard by {name}, never committed: {key}"
        for name, some in keys.items()
        for key in some
        if (name, key) not in committed
    ]
    verdict.wrong += [
        f"a mail has the Message-ID {mail.message['Message-ID']} with the key {mail.key}"
        for mail in heard["mail"]
        if isinstance(mail, Mail) and not str(mail.message["Message-ID"]).startswith(f"<{mail.key}@")
    ]


def _judge_repeats(verdict: Verdict, run: Run, heard: Heard) -> None:
    """A message is heard again only when its first time was cut off by a kill."""
    kills = [life.read for life in run.lives[:-1]] if run.kills else []
    for name, arrived in heard.items():
        last: dict[str, float] = {}
        at_kill: Counter[int] = Counter()
        for one in arrived:
            if one.key in last:
                kill = bisect_left(kills, last[one.key])
                if kill == len(kills) or kills[kill] > one.at:
                    verdict.wrong.append(f"{name} heard {one.key} twice without a kill between")
                at_kill[kill] += 1
            last[one.key] = one.at
        verdict.repeats += at_kill.total()
        verdict.most = max(verdict.most, *at_kill.values(), 0)
        verdict.wrong += [
            f"{count} repeats to {name} after kill {kill}"
            for kill, count in at_kill.items()
            if count > CONCURRENCY
        ]


def _judge_stories(
    verdict: Verdict, messages: Sequence[Message], heard: Heard, incidents: Sequence[int]
) -> None:
    """Who is told by incident hears of each that it fires, and then that it is over."""
    events = {one.key: (one.incident, one.event) for one in messages}
    for name in BY_INCIDENT:
        told: dict[int, list[str]] = defaultdict(list)
        for key in dict.fromkeys(one.key for one in heard[name]):
            incident, event = events.get(key, (0, "unknown"))
            told[incident].append(event)
        for number in incidents:
            story = told.get(number, [])
            if story != ["firing", "resolved"]:
                found = verdict.wrong if len(story) > 1 else verdict.lost
                found.append(f"{name} was told of incident {number}: {story}")


def _judge_incidents(
    verdict: Verdict,
    run: Run,
    incidents: Sequence[tuple[int, str, str, float, float | None]],
    episodes: Sequence[Episode],
) -> None:
    """What was committed is there, as it was; no two incidents of one alert stand for the same stretch of it."""
    found = {row[0]: (row[1], row[3]) for row in incidents}
    verdict.lost += [
        f"incident {number} was {known}, is {found.get(number)}"
        for number, known in run.incidents.items()
        if found.get(number) != tuple(known)
    ]
    ended: dict[str, float] = {}
    for number, key, state, opened, resolved in incidents:
        if state != "resolved" or resolved is None:
            verdict.wrong.append(f"incident {number} is {state}")
        if opened < ended.get(key, 0.0):
            verdict.split.append(f"incident {number} opened while another of {key} was live")
        ended[key] = resolved or float("inf")
    stretches = Counter((one.number, run.rhythm.stretch(one.number, one.fired_at)) for one in episodes)
    verdict.split += [
        f"alert {number} has {count} incidents for one stretch"
        for (number, _), count in stretches.items()
        if count > 1
    ]
    verdict.split += [
        f"incident {number} has {count} alerts"
        for number, count in Counter(one.incident for one in episodes).items()
        if count != 1
    ]


def _judge_groups(verdict: Verdict, run: Run, episodes: Sequence[Episode]) -> None:
    """Who is told in groups hears what fired until its group was looked at, and the end of what it was told."""
    first: dict[str, Post] = {}
    for post in run.groups:
        first.setdefault(post.key, post)
    fires: dict[int, bool] = {}
    told: set[tuple[int, int]] = set()
    for post in first.values():
        for alert in post.json["alerts"]:
            number = int(alert["labels"]["number"])
            fires[number] = alert["status"] == "firing"
            if fires[number]:
                told.add((number, run.rhythm.stretch(number, _instant(alert["startsAt"]))))
    verdict.lost += [
        f"the end of alert {number} was not told in its group" for number in fires if fires[number]
    ]
    for life in run.lives:
        for one in episodes:
            evaluated = life.evaluated.get(run.rhythm.group_of(one.number), 0.0)
            if not one.fired_at <= evaluated < life.end < one.resolved_at:
                continue
            if (one.number, run.rhythm.stretch(one.number, one.fired_at)) not in told:
                verdict.lost.append(f"alert {one.number} of {one.fired_at:.3f} was told in no group")


def _judge_evaluations(verdict: Verdict, run: Run, episodes: Sequence[Episode]) -> None:
    """Whatever fired when its rule was evaluated, and that was committed, has an incident."""
    known: dict[int, list[Episode]] = defaultdict(list)
    for one in episodes:
        known[one.number].append(one)
    for life in run.lives:
        for number in run.rhythm.numbers if life.evaluated else ():
            at = life.evaluated[run.rhythm.group_of(number)]
            if not all(run.rhythm.is_firing(number, at + step) for step in (-EDGE, 0.0, EDGE)):
                continue
            verdict.watched += 1
            if not any(one.fired_at <= at + EDGE and one.resolved_at > at for one in known[number]):
                verdict.lost.append(f"alert {number} fired at {at:.3f} unnoticed")


def _instant(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()
