"""Charts in mails: drawn from the head, sent through a real SMTP server, and never in a message's way."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.notify.chart import charts as module
from sentinel.notify.chart.charts import Chart, Charts
from sentinel.notify.chart.origin import origin_of
from sentinel.notify.receiver import Delivery, Result
from sentinel.notify.receivers.email import Email
from sentinel.notify.surroundings import Surroundings
from sentinel.promql.engine import Engine
from sentinel.promql.service import QueryService
from sentinel.rules.files import parse_rules
from sentinel.runtime.clock import SystemClock
from sentinel.series.head import Head
from tests.integration.delivery import mail
from tests.integration.services import message
from tests.servers.sinks import SmtpSink, smtp_sink

RULES = """
groups:
  - name: g
    rules:
      - alert: Down
        expr: cpu > 90
        for: 5m
        labels: {severity: critical}
      - alert: Down
        expr: cpu > 50
        labels: {severity: warning}
"""


class Lab:
    """An hour of two hosts' figures."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        head = Head(retention=7200.0)
        now = self.clock.now()
        layout = Layout.of([Labels(__name__="cpu", core="0"), Labels(__name__="cpu", core="1")])
        for name, base in (("sw1", 40.0), ("sw2", 5.0)):
            source = Source(name, "m", Labels(instance=name, job="m"), 30.0)
            for number in range(100):
                values = np.array([base + number / 2, base])
                at = now - 3000 + 30 * number
                head.append([Batch(source, at, Reading(layout, values), up=True, duration=0.1)])
        self.engine = Engine(head)
        self.queries = QueryService(self.engine, self.clock)
        self.groups = parse_rules(RULES, "r.yml", self.engine, default_interval=15.0)
        self.charts = Charts(self.queries, self.clock, lambda labels: origin_of(labels, self.groups))

    def delivery(self, event: str = "firing", **labels: str) -> Delivery:
        one = message(event)
        (alert,) = one.facts["alerts"]
        alert["labels"] = {"alertname": "Down", "instance": "sw1", "severity": "critical"} | labels
        one.facts["at"] = self.clock.now()
        alert["starts_at"] = self.clock.now() - 120
        return one


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    found = Lab()
    yield found
    found.queries.close()


@asynccontextmanager
async def receiver(sink: SmtpSink, drawing: Any, **more: Any) -> AsyncIterator[Email]:
    around = Surroundings(time.time, "en", ZoneInfo("UTC"), drawing=drawing)
    built = Email(mail(sink.port, **more), around)
    yield built
    await built.close()


async def test_a_mail_shows_what_the_expression_read(lab: Lab) -> None:
    async with smtp_sink() as sink, receiver(sink, lab.charts) as email:
        outcome = await email.send(lab.delivery())
    assert outcome.result is Result.DELIVERED
    (one,) = sink.mails
    (picture,) = [part for part in one.message.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content().startswith(b"\x89PNG")
    assert picture.get_content_disposition() == "inline"
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in one.text("html")
    assert 'alt="' in one.text("html")
    assert "core=0: " in one.text("html")
    assert "threshold 90" in one.text("html")
    assert one.raw.isascii()
    assert "Since: " in one.text()
    parts = [part.get_content_type() for part in one.message.walk()]
    assert parts == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]


async def test_the_rule_is_that_of_the_alerts_own_labels(lab: Lab) -> None:
    def made(**labels: str) -> Any:
        return lab.charts.chart(lab.delivery(**labels).facts, "en", ZoneInfo("UTC"))

    warning = await made(severity="warning")
    assert warning is not None
    assert "threshold 50" in warning.text
    alone = await made(core="1")
    assert alone is not None
    assert alone.text.endswith(": 40; threshold 90")
    other = await made(instance="sw2", core="1")
    assert other is not None
    assert ": 5; " in other.text
    assert await made(alertname="Unknown") is None
    assert await made(instance="sw3") is None
    assert await made(severity="info") is None


@pytest.mark.parametrize("more", [{"chart": False}, {"templates": {"text": "{{ .Title }}"}}])
async def test_who_wants_none_gets_none(lab: Lab, more: Mapping[str, Any]) -> None:
    async with smtp_sink() as sink, receiver(sink, lab.charts, **more) as email:
        assert (await email.send(lab.delivery())).result is Result.DELIVERED
    assert "image/png" not in [part.get_content_type() for part in sink.mails[0].message.walk()]


async def test_a_picture_that_takes_too_long_is_left_out_and_its_query_ends(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[threading.Event] = []

    async def ask(question: object, gone: threading.Event) -> None:
        seen.append(gone)
        await asyncio.Event().wait()

    monkeypatch.setattr(lab.queries, "ask", ask)
    async with smtp_sink() as sink, receiver(sink, lab.charts, timeout="2s") as email:
        began = time.monotonic()
        assert (await email.send(lab.delivery())).result is Result.DELIVERED
        assert time.monotonic() - began < 1.5
    assert [one.is_set() for one in seen] == [True]
    assert len(sink.mails) == 1


async def test_a_picture_that_fails_costs_nothing_but_itself(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> bytes:
        raise RuntimeError("no ink")

    monkeypatch.setattr(module, "draw", broken)
    async with smtp_sink() as sink, receiver(sink, lab.charts) as email:
        assert (await email.send(lab.delivery())).result is Result.DELIVERED
    assert "image/png" not in [part.get_content_type() for part in sink.mails[0].message.walk()]
    assert "FIRING" in sink.mails[0].text("html")


async def test_in_a_storm_most_mails_go_without(lab: Lab) -> None:
    facts = lab.delivery().facts
    made = await asyncio.gather(*(lab.charts.chart(facts, "en", ZoneInfo("UTC")) for _ in range(50)))
    assert sum(isinstance(one, Chart) for one in made) == module.AT_ONCE


async def test_without_the_library_mails_are_as_ever(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    bare = Charts(lab.queries, lab.clock, lambda labels: origin_of(labels, lab.groups))
    assert await bare.chart(lab.delivery().facts, "en", ZoneInfo("UTC")) is None


async def test_nothing_else_waits_while_a_picture_is_made(lab: Lab) -> None:
    facts, worst = lab.delivery().facts, 0.0
    task = asyncio.create_task(lab.charts.chart(facts, "zh-CN", ZoneInfo("UTC")))
    while not task.done():
        began = time.monotonic()
        await asyncio.sleep(0)
        worst = max(worst, time.monotonic() - began)
    assert isinstance(await task, Chart)
    assert worst < 0.15


async def test_hostile_texts_are_only_words_in_a_picture(lab: Lab) -> None:
    one = lab.delivery()
    one.facts["alerts"][0]["annotations"] = {"summary": '"><script>alert(1)</script>\r\nX: y\0' + "告" * 500}
    async with smtp_sink() as sink, receiver(sink, lab.charts) as email:
        assert (await email.send(one)).result is Result.DELIVERED
    html = sink.mails[0].text("html")
    assert "cid:" in html
    assert "<script" not in html
