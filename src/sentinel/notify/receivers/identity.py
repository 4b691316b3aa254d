"""The name of an incident at services that keep alerts of their own."""

from __future__ import annotations

import hashlib

from sentinel.notify.facts import Facts
from sentinel.notify.story import page_of


def identity_of(facts: Facts) -> str:
    """The same for every message about an incident, and no other's: not another Sentinel's either."""
    text = f"{page_of(facts)} {facts['opened_at']:.3f}"
    return f"sentinel-{hashlib.sha256(text.encode()).hexdigest()[:32]}"
