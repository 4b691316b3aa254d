"""From a message's facts to a picture, if it can be had in time."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import numpy as np

from sentinel.incidents.book import one_line
from sentinel.model.labels import METRIC_NAME
from sentinel.notify.chart.draw import HEIGHT, WIDTH, draw, has_chinese, is_latin
from sentinel.notify.chart.figure import MOST_SERIES, Curve, Figure, names_of
from sentinel.notify.chart.subject import Subject, belongs, narrowed, subject_of
from sentinel.notify.facts import AlertFacts, Facts
from sentinel.notify.texts import Language
from sentinel.promql.errors import EvaluationError, ExpressionError
from sentinel.promql.evaluation import Matrix, Track
from sentinel.promql.service import QueryService, Question
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

LONGEST: Final = 2.0
"""Seconds that a picture may take in all; without it the message goes as it is."""
BEFORE: Final = 3600.0
BEFORE_PENDING: Final = 600.0
"""Seconds shown before `for` began to count."""
AFTER: Final = 300.0
"""Seconds shown after a recovery."""
LONGEST_SPAN: Final = 86400.0
POINTS: Final = 240
FINEST: Final = 15.0
MAX_TITLE: Final = 200
AT_ONCE: Final = 2
"""Pictures made at the same time; in a storm most messages go without."""

_FIRING: Final[Mapping[Language, str]] = {"en": "firing", "zh-CN": "告警"}


@dataclass(frozen=True, slots=True)
class Chart:
    png: bytes
    text: str
    """The same in words."""
    width: int = WIDTH


class Rule(Protocol):
    """What is needed of an alerting rule."""

    @property
    def text(self) -> str:
        """Its expression."""
        ...

    @property
    def hold(self) -> float:
        """`for`, in seconds."""
        ...

    @property
    def own_labels(self) -> frozenset[str]:
        """Names of labels that the rule sets itself."""
        ...


class Drawing(Protocol):
    async def chart(self, facts: Facts, language: Language, zone: ZoneInfo) -> Chart | None:
        """A picture of what the message tells; None: there is none, or not in time. Never raises."""
        ...


class Charts:
    """See Drawing.

    Args:
        rule_of: the rule that an alert with these labels comes from.
    """

    def __init__(
        self, queries: QueryService, clock: Clock, rule_of: Callable[[Mapping[str, str]], Rule | None]
    ) -> None:
        self._queries = queries
        self._clock = clock
        self._rule_of = rule_of
        self._busy = 0
        self._is_there = importlib.util.find_spec("PIL") is not None

    async def chart(self, facts: Facts, language: Language, zone: ZoneInfo) -> Chart | None:
        if not self._is_there or not facts["alerts"] or self._busy >= AT_ONCE:
            return None
        gone = threading.Event()
        self._busy += 1
        try:
            async with asyncio.timeout(LONGEST):
                return await self._made(facts, language, zone, gone)
        except (TimeoutError, ExpressionError, EvaluationError) as error:
            reason = str(error) or f"not within {LONGEST:g} s"
            log.info(
                "mail without its chart", extra={"facts": {"incident": facts["incident"], "reason": reason}}
            )
        except Exception:  # a picture is not worth a message
            log.exception("chart failed", extra={"facts": {"incident": facts["incident"]}})
        finally:
            gone.set()
            self._busy -= 1
        return None

    async def _made(
        self, facts: Facts, language: Language, zone: ZoneInfo, gone: threading.Event
    ) -> Chart | None:
        alert = facts["alerts"][0]
        rule = self._rule_of(alert["labels"])
        if rule is None:
            return None
        start, end = span(alert, rule.hold, at=facts["at"], now=self._clock.now())
        step = max(FINEST, (end - start) / POINTS)
        subject = subject_of(rule.text)
        tracks = await self._tracks(subject, alert, rule, (start, end, step), gone)
        curves = curves_of(tracks)
        if not curves:
            return None
        words: Language = language if has_chinese() else "en"
        figure = Figure(
            title=_title(alert),
            curves=curves,
            start=start,
            end=end,
            step=step,
            zone=zone,
            threshold=subject.threshold,
            fired_at=alert["starts_at"],
            ended_at=alert["ends_at"],
            fired_word=_FIRING[words],
        )
        return Chart(await asyncio.to_thread(draw, figure), figure.description)

    async def _tracks(
        self,
        subject: Subject,
        alert: AlertFacts,
        rule: Rule,
        when: tuple[float, float, float],
        gone: threading.Event,
    ) -> list[Track]:
        """What the alert came from, the nearest to its labels first."""
        labels = alert["labels"]
        text = narrowed(subject.expression, labels["instance"]) if labels.get("instance") else None
        start, end, step = when
        question = Question(text or subject.expression, start, end, step, timeout=LONGEST)
        answer = (await self._queries.ask(question, gone)).answer
        if not isinstance(answer, Matrix):
            return []
        own = rule.own_labels
        found = [one for one in answer.tracks() if belongs(dict(one.labels.pairs), labels, own)]
        return sorted(
            found, key=lambda one: -sum(labels.get(name) == value for name, value in one.labels.pairs)
        )


def _title(alert: AlertFacts) -> str:
    """The summary, unless there is no font for it here."""
    name = one_line(alert["labels"].get("alertname", ""), MAX_TITLE)
    summary = one_line(alert["annotations"].get("summary", ""), MAX_TITLE)
    return summary if summary and (is_latin(summary) or has_chinese()) else name


def span(alert: AlertFacts, hold: float, *, at: float, now: float) -> tuple[float, float]:
    """From when to when is shown: an hour before the message, or from before `for` began to count."""
    ends_at = alert["ends_at"]
    end = min(now, at if ends_at is None else max(ends_at + AFTER, at))
    start = min(end - BEFORE, alert["starts_at"] - hold - BEFORE_PENDING)
    return max(start, end - LONGEST_SPAN), end


def curves_of(tracks: list[Track]) -> tuple[Curve, ...]:
    """Those that can be drawn: at least two finite values each."""
    drawable = []
    for track in tracks:
        good = np.isfinite(track.values) & (np.abs(track.values) < 1e100)
        if np.count_nonzero(good) > 1:
            drawable.append((track.labels, track.times[good], track.values[good]))
    drawable = drawable[:MOST_SERIES]
    names = names_of([{k: v for k, v in labels.pairs if k != METRIC_NAME} for labels, _, _ in drawable])
    return tuple(Curve(name, times, values) for name, (_, times, values) in zip(names, drawable, strict=True))


__all__ = ["HEIGHT", "WIDTH", "Chart", "Charts", "Drawing", "Rule"]
