"""An alert as somebody sends it, and what an Alertmanager makes of that. Pure.

Source: Alertmanager api/v2/api.go (postAlertsHandler) for what stands for missing instants, types.Alert.Validate
for what is refused, provider/mem/mem.go (Put) and types.Alert.Merge for what becomes of one that is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sentinel.model.labels import Labels

MAX_LABELS = 256
"""Labels, or annotations, of one alert."""
MAX_NAME = 1024
"""Characters of a name."""
MAX_TEXT = 65_536
"""Characters of all labels and annotations of an alert together."""
MAX_URL = 4096


@dataclass(frozen=True, slots=True)
class Posted:
    """Instants are Unix seconds; None: not given."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float | None = None
    ends_at: float | None = None
    generator_url: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """An alert as it is believed. Instants are Unix seconds."""

    labels: Labels
    annotations: Labels
    starts_at: float
    ends_at: float
    updated_at: float
    is_timeout: bool
    generator_url: str
    sender: str

    def is_over(self, at: float) -> bool:
        return self.ends_at <= at

    @property
    def size(self) -> int:
        """Characters of its texts."""
        pairs = (*self.labels.pairs, *self.annotations.pairs)
        return sum(len(name) + len(value) for name, value in pairs) + len(self.generator_url)


class InvalidAlertError(ValueError):
    """What was sent is no alert; the text says why, in Alertmanager's words where it has some."""


def held(posted: Posted, sender: str, at: float, resolve_timeout: float) -> Held:
    """
    Args:
        at: now.
        resolve_timeout: seconds for which an alert without an end is believed.
    Raises:
        InvalidAlertError
    """
    starts_at, ends_at = posted.starts_at, posted.ends_at
    if starts_at is None:
        starts_at = at if ends_at is None else ends_at
    is_timeout = ends_at is None
    if ends_at is None:
        ends_at = at + resolve_timeout
    labels = {name: value for name, value in posted.labels.items() if value}
    if ends_at < starts_at:
        raise InvalidAlertError("start time must be before end time")
    if not labels:
        raise InvalidAlertError("at least one label pair required")
    _check("invalid label set", labels)
    _check("invalid annotations", posted.annotations)
    if len(posted.generator_url) > MAX_URL:
        raise InvalidAlertError(f"generatorURL is longer than {MAX_URL} characters")
    made = Held(
        Labels(labels),
        Labels.annotations(posted.annotations),
        starts_at,
        ends_at,
        at,
        is_timeout,
        posted.generator_url,
        sender,
    )
    if made.size > MAX_TEXT:
        raise InvalidAlertError(f"labels and annotations are longer than {MAX_TEXT} characters")
    return made


def _check(what: str, pairs: Mapping[str, str]) -> None:
    if len(pairs) > MAX_LABELS:
        raise InvalidAlertError(f"{what}: more than {MAX_LABELS} names")
    for name in pairs:
        if not name:
            raise InvalidAlertError(f'{what}: invalid name ""')
        if len(name) > MAX_NAME:
            raise InvalidAlertError(f"{what}: a name is longer than {MAX_NAME} characters")


def merged(old: Held, new: Held, at: float) -> Held:
    """What is believed from now on: the new one, and where they overlap the earlier start and the later end."""
    overlaps = (old.starts_at < new.ends_at < old.ends_at) or (old.starts_at < new.starts_at < old.ends_at)
    if not overlaps:
        return new
    ends_at = new.ends_at
    if new.is_over(at):
        if old.is_over(at):
            ends_at = max(old.ends_at, ends_at)
    elif not old.is_timeout:
        ends_at = max(old.ends_at, ends_at)
    return replace(new, starts_at=min(old.starts_at, new.starts_at), ends_at=ends_at)
