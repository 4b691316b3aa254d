"""The alerts of one rule, from one evaluation to the next.

An evaluation that returns the same label sets as the one before, with nothing due, costs one comparison of row
numbers: label sets, templates and the state machine are touched only where something changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from sentinel.model.alert import Alert, AlertChange, AlertState
from sentinel.model.batch import Floats
from sentinel.model.labels import Labels
from sentinel.promql.value import SeriesSet, Value, Vector
from sentinel.rules.result import SCALAR, RuleError, vector_of
from sentinel.rules.rule import AlertingRule
from sentinel.rules.state import NOTHING, Policy, Sight, Standing, step
from sentinel.rules.surroundings import Surroundings
from sentinel.rules.texts import ALERT_NAME, AlertTexts
from sentinel.rules.track import Track
from sentinel.rules.windows import settle_time

_NO_ROWS = np.empty(0, np.intp)


class RuleAlerts:
    """Keeps one rule's alerts."""

    def __init__(self, rule: AlertingRule, group: str, around: Surroundings) -> None:
        """
        Args:
            group: the group's identity.
        """
        self._group = group
        self._around = around
        self._tracks: dict[Labels, Track] = {}
        self._series = SCALAR
        self._rows = _NO_ROWS
        self._values: Floats = np.empty(0)
        self._seen: list[Track] = []
        """Aligned with the rows."""
        self._keys: list[Labels | None] = []
        self._keys_of: SeriesSet | None = None
        self._seen_at: float | None = None
        self._due = -math.inf
        """Until then nothing changes while the same rows are returned."""
        self.version = 0
        """Changes with the alerts or their states, not with their values."""
        self._names: Callable[[], frozenset[str]] = frozenset
        self.adopt(rule, group)

    def adopt(self, rule: AlertingRule, group: str) -> None:
        """Go on with this rule, which differs only in what does not touch the alerts' identity."""
        self._rule = rule
        self._group = group
        self._policy = Policy(rule.hold, rule.keep)
        self._settle = settle_time(rule.expression.text)
        self._names = lambda: self._rule.expression.names
        self._texts = AlertTexts(rule, self._around)
        self._keys_of = None
        for track in self._tracks.values():
            track.annotated = None

    def feed_from(self, names: Callable[[], frozenset[str]], settle: float) -> None:
        """Say what the rule reads in the end, through recording rules.

        Args:
            names: tells the metrics.
            settle: seconds after data are back in which the rule's windows may still lack samples.
        """
        self._names, self._settle = names, settle

    def __len__(self) -> int:
        return len(self._tracks)

    def update(self, result: Value, at: float, limit: int = 0) -> list[AlertChange]:
        """One evaluation.

        Args:
            at: Unix seconds of the tick.
            limit: most alerts; 0 is no limit.
        Returns:
            The alerts whose state changed.
        Raises:
            RuleError: the result cannot be used; nothing has changed.
        """
        vector = vector_of(result)
        if not len(vector) and not self._tracks:
            return []
        if at < self._due and self._is_same(vector):
            self._values, self._seen_at = vector.values, at
            return []
        self._settle_values()
        seen = self._seen_tracks(vector, at)
        steps = list(self._steps(seen, at))
        if limit and sum(after is not NOTHING for _, _, after in steps) > limit:
            raise RuleError(f"more than the group's limit of {limit} alerts")
        return self._taken(vector, seen, steps, at)

    def _is_same(self, vector: Vector) -> bool:
        rows = vector.rows
        if (
            vector.series is not self._series
            or len(rows) != len(self._rows)
            or self._texts.has_volatile_labels
        ):
            return False
        return rows is self._rows or bool((rows == self._rows).all())

    def _settle_values(self) -> None:
        """Write what the quick evaluations left in arrays to the alerts."""
        for track, value in zip(self._seen, self._values.tolist(), strict=True):
            track.value = value
            track.seen_at = self._seen_at

    def _seen_tracks(self, vector: Vector, at: float) -> list[Track]:
        """The alert of every row, new ones included.

        Raises:
            RuleError: two rows would be the same alert.
        """
        if vector.series is not self._keys_of or self._texts.has_volatile_labels:
            self._keys_of, self._keys = vector.series, [None] * len(vector.series)
        seen: dict[Labels, Track] = {}
        rows = vector.rows.tolist()
        for row, value in zip(rows, vector.values.tolist(), strict=True):
            key = self._keys[row]
            if key is None:
                key = self._keys[row] = self._texts.labels(vector.series.labels[row], value, at)
            if key in seen:
                raise RuleError(f"the result holds the same alert twice: {key}")
            track = self._tracks.get(key)
            if track is None:
                track = Track(key, vector.series.labels[row], key.fingerprint())
            seen[key] = track
        return list(seen.values())

    def _steps(self, seen: Sequence[Track], at: float) -> Iterator[tuple[Track, Sight, Standing]]:
        here = {id(track) for track in seen}
        for track in seen:
            yield track, Sight.SEEN, step(track.standing, Sight.SEEN, at, self._policy)
        missing = [track for track in self._tracks.values() if id(track) not in here]
        if missing:
            names = self._names()
            for track in missing:
                sight = self._sight(track, names, at)
                yield track, sight, step(track.standing, sight, at, self._policy)

    def _sight(self, track: Track, names: frozenset[str], at: float) -> Sight:
        if self._around.readability.readability(track.source, names):
            track.held_until = max(track.held_until, at + self._settle)
            return Sight.UNREADABLE
        if self._around.is_waiting(track.source):
            if "instance" in track.source:
                # Its windows begin to fill with the first poll.
                track.held_until = max(track.held_until, at + self._settle)
            return Sight.HELD
        return Sight.HELD if at < track.held_until else Sight.GONE

    def _taken(
        self,
        vector: Vector,
        seen: list[Track],
        steps: Iterable[tuple[Track, Sight, Standing]],
        at: float,
    ) -> list[AlertChange]:
        self._series, self._rows, self._values = vector.series, vector.rows, vector.values
        self._seen, self._seen_at = seen, at
        for track, value, source in zip(seen, vector.values.tolist(), vector.rows.tolist(), strict=True):
            track.value, track.seen_at = value, at
            track.source = vector.series.labels[source]
            track.held_until = -math.inf
        changes: list[AlertChange] = []
        due, tracks = math.inf, self._tracks
        for track, sight, after in steps:
            before, track.standing = track.standing, after
            if after is NOTHING:
                tracks.pop(track.labels, None)
            else:
                tracks[track.labels] = track
            if before.state is not after.state:
                changes.append(self._change(track, before, sight, at))
            if sight is not Sight.SEEN:
                due = -math.inf
            elif after.state is AlertState.PENDING:
                due = min(due, after.active_at + self._policy.hold)
        self._due = due
        if changes:
            self.version += 1
        return changes

    def _change(
        self, track: Track, before: Standing, sight: Sight, at: float, reason: str = ""
    ) -> AlertChange:
        after = track.standing
        if sight is Sight.SEEN:
            self._texts.annotate(track, at)
        if after.state is AlertState.UNKNOWN:
            reason = "unreadable"
        elif before.state is AlertState.UNKNOWN and after.state is AlertState.FIRING:
            reason = "readable again"
        elif after is NOTHING and not reason and self._around.is_removed(track.source):
            reason = "target removed"
        if after is NOTHING:
            alert = track.alert(self._group, before, AlertState.INACTIVE, resolved_at=at)
        else:
            alert = track.alert(self._group, after, after.state)
        return AlertChange(before.state, alert, at, reason)

    # Everything else that changes alerts

    def end(
        self, at: float, reason: str, which: Callable[[Track], bool] = lambda _: True
    ) -> list[AlertChange]:
        """End alerts for a reason of their own: the rule or their target is gone."""
        self._settle_values()
        changes = []
        for track in [track for track in self._tracks.values() if which(track)]:
            del self._tracks[track.labels]
            before, track.standing = track.standing, NOTHING
            changes.append(self._change(track, before, Sight.GONE, at, reason))
        if changes:
            self._drop_ended_rows()
            self.version += 1
        return changes

    def end_removed(self, at: float) -> list[AlertChange]:
        """End the alerts of removed targets that the expression did not return last time."""
        seen, is_removed = {id(track) for track in self._seen}, self._around.is_removed
        return self.end(
            at, "target removed", lambda track: id(track) not in seen and is_removed(track.source)
        )

    def restore(self, alert: Alert, at: float) -> None:
        """Take an alert back as it was before a restart."""
        own = {ALERT_NAME, *(name for name, _ in self._rule.labels)}
        fixed = self._rule.fixed_labels
        # A label that the rule only repeats is as good as the result's own.
        source = alert.labels.without(*(name for name in own if name == ALERT_NAME or name in fixed))
        track = Track(alert.labels, source, alert.fingerprint)
        track.standing = Standing(alert.state, alert.active_at, alert.fired_at)
        track.value, track.seen_at = alert.value, alert.last_seen_at
        track.annotations = alert.annotations
        track.held_until = at + max(self._around.grace, self._settle)
        self._tracks[alert.labels] = track
        self._due = -math.inf
        self.version += 1

    def shift(self, seconds: float) -> None:
        """The clock was set forward by that much: everything keeps its age."""
        self._settle_values()
        for track in self._tracks.values():
            track.standing = track.standing.shifted(seconds)
            track.held_until += seconds
            if track.seen_at is not None:
                track.seen_at += seconds
            track.annotated = None
        if self._seen_at is not None:
            self._seen_at += seconds
        self._due += seconds
        self.version += 1

    def _drop_ended_rows(self) -> None:
        """Rows of ended alerts are no longer seen, and the next evaluation goes the whole way."""
        left = [row for row, track in enumerate(self._seen) if track.standing is not NOTHING]
        self._seen = [self._seen[row] for row in left]
        self._rows, self._values = self._rows[left], self._values[left]
        self._due = -math.inf

    # Reading

    def active(self) -> list[Alert]:
        """Alerts that are not inactive, with annotations for their latest values."""
        self._settle_values()
        for track in self._seen:
            self._texts.annotate(track, self._seen_at or 0.0)
        return [
            track.alert(self._group, track.standing, track.standing.state) for track in self._tracks.values()
        ]

    def states(self) -> Iterator[tuple[Labels, AlertState, float]]:
        """Labels, state and start of every alert."""
        for track in self._tracks.values():
            yield track.labels, track.standing.state, track.standing.active_at

    def counts(self) -> Mapping[AlertState, int]:
        found: dict[AlertState, int] = {}
        for track in self._tracks.values():
            found[track.standing.state] = found.get(track.standing.state, 0) + 1
        return found
