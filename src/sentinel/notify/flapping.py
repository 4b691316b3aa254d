"""Incidents that come and go: told once that they do, and once when they have settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.config.receivers.local import FlappingSettings
from sentinel.db import tables as t
from sentinel.model.durations import format_duration
from sentinel.model.incident import Incident
from sentinel.notify.decision import Matter, Obstacle, Why

MAX_KEYS: Final = 50_000
"""Kinds of incidents of which is kept how often they opened lately."""


@dataclass(slots=True)
class _Course:
    openings: deque[tuple[float, int]] = field(default_factory=deque)
    """When, and the incident's number; ascending."""
    teller: int = 0
    """The incident with which people are told that it flaps; 0: it does not."""


class Flapping:
    """By the key of incidents: what they have in common each time."""

    def __init__(self, settings: FlappingSettings) -> None:
        self._settings = settings
        self._courses: dict[str, _Course] = {}

    def use(self, settings: FlappingSettings) -> None:
        """Other limits from now on."""
        self._settings = settings

    async def restore(self, connection: AsyncConnection, at: float) -> None:
        """What has opened lately, from the database."""
        of = t.incident.c
        since = at - max(self._settings.within, self._settings.settle)
        query = select(of.id, of.key, of.opened_at).where(of.opened_at > since).order_by(of.opened_at, of.id)
        for number, key, opened_at in await connection.execute(query):
            self._note(key, number, opened_at)

    def opened(self, incidents: Iterable[Incident]) -> None:
        """The same may come twice."""
        for incident in incidents:
            self._note(incident.key, incident.id, incident.opened_at)

    def shift(self, seconds: float) -> None:
        """The clock was stepped by so much."""
        for course in self._courses.values():
            course.openings = deque((at + seconds, number) for at, number in course.openings)

    def obstacles(self, incident: Incident, matter: Matter, at: float) -> Sequence[Obstacle]:
        """
        Args:
            at: Unix seconds.
        """
        course = self._courses.get(incident.key)
        if course is None or not course.teller:
            return ()
        settles_at = course.openings[-1][0] + self._settings.settle
        if settles_at <= at:
            course.teller = 0
            return ()
        if course.teller == incident.id and matter is Matter.FIRING:
            return ()  # it is the one that tells
        return [Obstacle(Why.FLAPPING, self._text(course), settles_at)]

    def reason(self, incident: Incident) -> str:
        """What people are told with the incident that tells that its like come and go; empty: it is none."""
        course = self._courses.get(incident.key)
        return (
            f"flapping: {self._text(course)}" if course is not None and course.teller == incident.id else ""
        )

    def _text(self, course: _Course) -> str:
        within = format_duration(round(self._settings.within))
        return f"opened {max(len(course.openings), self._settings.times)} times within {within}"

    def _note(self, key: str, number: int, at: float) -> None:
        limits = self._settings
        if not limits.times:
            return
        if len(self._courses) >= MAX_KEYS and key not in self._courses:
            self._prune(at)
        course = self._courses.setdefault(key, _Course())
        if any(known == number for _, known in course.openings):
            return
        before = course.openings[-1][0] if course.openings else at
        if course.teller and at - before >= limits.settle:
            course.teller = 0
        course.openings.append((at, number))
        while course.openings[0][0] <= at - limits.within:
            course.openings.popleft()
        if not course.teller and len(course.openings) >= limits.times:
            course.teller = number

    def _prune(self, at: float) -> None:
        span = max(self._settings.within, self._settings.settle)
        kept = {key: course for key, course in self._courses.items() if course.openings[-1][0] > at - span}
        self._courses = kept if len(kept) < MAX_KEYS else {}
