"""What a parser is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sentinel.collect.ssh.text import Outcome, Text


@dataclass(frozen=True, slots=True)
class Parser:
    """From a section's text to samples. Never raises: what it cannot read, it leaves out."""

    name: str
    collectors: tuple[str, ...]
    """Whose success it reports as node_scrape_collector_success."""
    parse: Callable[[Text], Iterable[Outcome]]
    names: frozenset[str] = frozenset()
    """Metrics that it gives on nearly every host: what is missing when it cannot be read for the first time."""
    prepare: Callable[[bytes], bytes] | None = None
    """Run over each text first: writes in decimal, sums or counts what is not decimal or has a row per thing that
    comes and goes, so that texts keep their form from poll to poll. It never raises either."""
