"""Range queries in slices: the event loop breathes between them, and the head stays in one thread."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sentinel.model.labels import Labels
from sentinel.promql.errors import LimitError
from sentinel.runtime.clock import Clock
from sentinel.web.seams import Expression

MAX_STEPS = 11_000
"""As in Prometheus."""
MAX_POINTS = 5_000_000
DEADLINE = 60.0
"""Seconds that a range query may take, the pauses included."""
SLICE = 0.03
"""Seconds for which a slice may hold the event loop; slices grow and shrink towards it."""
_NEEDS_WHOLE_RANGE = re.compile(r"@\s*(start|end)\s*\(")


@dataclass(slots=True)
class Line:
    """One series of a range query, in the order of time."""

    labels: Labels
    times: list[float] = field(default_factory=list)
    """Unix seconds."""
    values: list[float] = field(default_factory=list)


def steps_between(start: float, end: float, step: float) -> int:
    """How many instants start, start + step, … lie up to end."""
    return int((end - start) / step + 1e-9) + 1


async def evaluate_range(
    expression: Expression, text: str, *, start: float, end: float, step: float, clock: Clock
) -> Sequence[Line]:
    """The expression's series, sorted by labels.

    Raises:
        EvaluationError: no result on the samples there are, or over a limit.
    """
    began = clock.monotonic()
    lines: dict[Labels, Line] = {}
    total, done, points = steps_between(start, end, step), 0, 0
    # What refers to the range's own ends has to see the whole of it.
    size = total if _NEEDS_WHOLE_RANGE.search(text) else 8
    while done < total:
        count = min(size, total - done)
        slice_began = clock.monotonic()
        last = start + (done + count - 1) * step
        for track in expression.range(start + done * step, last, step):
            line = lines.setdefault(track.labels, Line(track.labels))
            line.times.extend(track.times.tolist())
            line.values.extend(track.values.tolist())
            points += len(track.times)
        done += count
        took = clock.monotonic() - slice_began
        size = max(1, min(count * 2, int(count * SLICE / max(took, 1e-6))))
        if points > MAX_POINTS:
            raise LimitError(f"the query yields more than {MAX_POINTS:,} points")
        if clock.monotonic() - began > DEADLINE:
            raise LimitError(f"the query takes longer than {DEADLINE:g} s")
        await asyncio.sleep(0)
    return [lines[labels] for labels in sorted(lines)]
