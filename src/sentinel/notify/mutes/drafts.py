"""What is asked for, looked over: it becomes a silence, or a clear refusal.

Source: Alertmanager silence/silence.go (validateSilence, canUpdate) and api/v2/api.go (postSilencesHandler).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

from sentinel.config.matchers import Matcher
from sentinel.model.problem import did_you_mean
from sentinel.notify.mutes.recurrence import Recurrence, Window
from sentinel.notify.mutes.silence import Draft, Kind, Silence, State

MAX_MATCHERS = 50
MAX_NAME = 1024
MAX_VALUE = 4096
MAX_COMMENT = 2000
MAX_PERSON = 200
MAX_CHANGE = 200
MAX_TARGETS = 1000
MAX_TARGET = 200
LAST_INSTANT = 221_845_392_000.0
"""The year 9000: what calendars still reckon with."""


class InvalidSilenceError(ValueError):
    """What was asked for cannot be a silence; the text says why."""


def silence_of(draft: Draft, at: float, who: str, targets: Collection[str] | None) -> Silence:
    """The silence that a draft asks for, as a new one without an id.

    Args:
        who: stands for a missing author.
        targets: names of those that there are; None: any name will do.
    Raises:
        InvalidSilenceError
    """
    _check_texts(draft)
    _check_matchers(draft)
    if draft.targets and draft.kind is not Kind.MAINTENANCE:
        raise InvalidSilenceError("targets belong to maintenance windows; a silence has matchers")
    if targets is not None:
        for name in draft.targets:
            if name not in targets:
                raise InvalidSilenceError(f"there is no target {name!r}{did_you_mean(name, targets)}")
    starts_at = at if draft.starts_at is None else draft.starts_at
    recurrence = _recurrence(draft, _window(starts_at, draft.ends_at))
    over_at = draft.ends_at if recurrence is None else recurrence.over_at
    if over_at is not None and over_at <= at:
        raise InvalidSilenceError("the end must be in the future")
    return Silence(
        id="",
        kind=draft.kind,
        matchers=draft.matchers,
        targets=tuple(dict.fromkeys(draft.targets)),
        with_dependants=bool(draft.targets) and draft.with_dependants,
        starts_at=starts_at,
        ends_at=draft.ends_at,
        recurrence=recurrence,
        over_at=over_at,
        created_by=draft.created_by.strip() or who,
        comment=draft.comment,
        change=draft.change.strip(),
        created_at=at,
        updated_at=at,
        # Windows before it was written down muted nothing.
        ended_told_at=at,
    )


def edited(before: Silence, wanted: Silence, at: float) -> Silence | None:
    """The silence changed as wanted; None: that would rewrite what has happened, so a new one takes its place."""
    if not _may_become(before, wanted, at):
        return None
    return replace(
        wanted,
        id=before.id,
        created_at=before.created_at,
        reminded_at=before.reminded_at if before.over_at == wanted.over_at else None,
        ended_told_at=before.ended_told_at,
    )


def _may_become(before: Silence, wanted: Silence, at: float) -> bool:
    if before.kind is not wanted.kind or _concerned(before) != _concerned(wanted):
        return False
    state = before.state(at)
    if state is State.EXPIRED:
        return False
    if before.recurrence is not None or wanted.recurrence is not None:
        return before.recurrence == wanted.recurrence
    if state is State.ACTIVE:
        return int(before.starts_at) == int(wanted.starts_at)
    return wanted.starts_at >= at


def _concerned(silence: Silence) -> tuple[object, ...]:
    return silence.matchers, silence.targets, silence.with_dependants


def expired(silence: Silence, at: float) -> Silence:
    """Ended now; one that has not begun never does."""
    if silence.recurrence is None:
        starts_at = min(silence.starts_at, at)
        return replace(silence, starts_at=starts_at, ends_at=at, over_at=at, updated_at=at)
    return replace(silence, over_at=at, updated_at=at)


def _window(starts_at: float, ends_at: float) -> Window:
    for instant, what in ((starts_at, "start"), (ends_at, "end")):
        if not math.isfinite(instant) or not 0 <= instant <= LAST_INSTANT:
            raise InvalidSilenceError(f"the {what} is not an instant between 1970 and the year 9000")
    if starts_at >= ends_at:
        raise InvalidSilenceError("the start must be before the end")
    return Window(starts_at, ends_at)


def _recurrence(draft: Draft, first: Window) -> Recurrence | None:
    if not draft.rule:
        return None
    try:
        return Recurrence.of(draft.rule, draft.zone, first)
    except ValueError as error:
        raise InvalidSilenceError(str(error)) from None


def _check_texts(draft: Draft) -> None:
    if len(draft.targets) > MAX_TARGETS:
        raise InvalidSilenceError(f"more than {MAX_TARGETS} targets; write matchers instead")
    bounds = [
        ("the comment", draft.comment, MAX_COMMENT),
        ("the author", draft.created_by, MAX_PERSON),
        ("the change reference", draft.change, MAX_CHANGE),
        *(("a target's name", name, MAX_TARGET) for name in draft.targets),
        *(("a matcher's name", matcher.name, MAX_NAME) for matcher in draft.matchers),
        *(("a matcher's value", matcher.value, MAX_VALUE) for matcher in draft.matchers),
    ]
    for what, text, most in bounds:
        if len(text) > most:
            raise InvalidSilenceError(f"{what} is longer than {most} characters")
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
            raise InvalidSilenceError(f"{what} has characters that no text has")


def _check_matchers(draft: Draft) -> None:
    if len(draft.matchers) > MAX_MATCHERS:
        raise InvalidSilenceError(f"more than {MAX_MATCHERS} matchers")
    if not all(matcher.name for matcher in draft.matchers):
        raise InvalidSilenceError("a matcher without a label name")
    if not draft.matchers and not draft.targets:
        needs = "a matcher or a target" if draft.kind is Kind.MAINTENANCE else "at least one matcher"
        raise InvalidSilenceError(f"a {draft.kind.words} needs {needs}")
    if not draft.targets and all(_matches_empty(matcher) for matcher in draft.matchers):
        raise InvalidSilenceError(
            "at least one matcher must not match the empty text: else it matches everything"
        )


def _matches_empty(matcher: Matcher) -> bool:
    """As Alertmanager has it: what says "not" counts as a condition."""
    return matcher.operator in ("=", "=~") and matcher.matches({})
