"""Silences as Alertmanager shows them; maintenance windows are among them, as they mute the same.

Source: Alertmanager api/v2/api.go (SortSilences, getSilencesHandler), api/v2/compat.go (GettableSilenceFromProto).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import re2

from sentinel.notify.mutes.silence import Silence, written_matchers
from sentinel.web.formats import format_instant
from sentinel.web.seams.telling import Silences

MAX_NAMED: Final = 1000
"""Targets of a maintenance window that its matchers name."""


def silence_json(silence: Silence, silences: Silences, at: float) -> Mapping[str, Any]:
    """What recurs has the instants of its window now, or of the next one."""
    window = silence.window(at)
    matchers = written_matchers(silence.matchers)
    if silence.targets:
        names = sorted(silences.mutes.targets(silence))[:MAX_NAMED]
        matchers.append(
            {"name": "instance", "value": "|".join(map(re2.escape, names)), "isRegex": True, "isEqual": True}
        )
    return {
        "id": silence.id,
        "status": {"state": silence.state(at).value},
        "updatedAt": format_instant(silence.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": format_instant(window.end),
        "matchers": matchers,
        "startsAt": format_instant(window.start),
    }
