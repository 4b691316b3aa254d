"""Why polls fail, as series."""

from __future__ import annotations

import numpy as np

from sentinel.collect.failed import Failed
from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.promql.engine import Engine
from sentinel.promql.value import Vector
from sentinel.series.head import Head

SOURCE = Source("web1", "linux", Labels(instance="web1", job="linux", site="north"), 15.0)


def down(at: float, reason: str) -> Batch:
    return Batch.down(SOURCE, at=at, duration=0.1, reason=reason)


def up(at: float) -> Batch:
    return Batch(SOURCE, at, Reading(Layout.of([Labels(__name__="a")]), np.ones(1)), up=True, duration=0.1)


class Fleet:
    def __init__(self) -> None:
        self.head = Head()
        self.failed = Failed(self.head)

    def reasons(self, poll: Batch) -> list[str]:
        """Reasons in view after this poll."""
        self.head.append([poll, *self.failed.batches([poll])])
        return self.seen(poll.at)

    def seen(self, at: float) -> list[str]:
        found = Engine(self.head).compile("sentinel_poll_failed").instant(at)
        assert isinstance(found, Vector)
        return sorted(f"{labels['site']} {labels['reason']}" for labels, _ in found.samples())


def test_the_reason_is_in_view_while_polls_fail_and_gone_with_the_first_that_does_not() -> None:
    fleet = Fleet()
    assert fleet.reasons(up(1000.0)) == []
    assert fleet.reasons(down(1015.0, "timeout")) == ["north timeout"]
    assert fleet.reasons(down(1030.0, "host_key_changed")) == ["north host_key_changed"]
    assert fleet.reasons(down(1045.0, "host_key_changed")) == ["north host_key_changed"]
    assert fleet.reasons(up(1060.0)) == []
    assert fleet.reasons(down(1075.0, "timeout")) == ["north timeout"]


def test_a_target_that_is_removed_takes_its_reason_along() -> None:
    fleet = Fleet()
    assert fleet.reasons(down(1000.0, "auth")) == ["north auth"]
    fleet.failed.forget(SOURCE)
    assert fleet.seen(1001.0) == []


def test_a_reason_without_a_change_keeps_its_layout() -> None:
    failed = Failed(Head())
    first, second = (next(iter(failed.batches([down(at, "auth")]))) for at in (1000.0, 1015.0))
    assert first.reading.layout is second.reading.layout
