"""Chat and paging services, judged as their documentation says they judge."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sentinel.config.receivers import AnyReceiver
from sentinel.notify.receiver import Result
from tests.integration.delivery import QuickClock, delivering
from tests.integration.services import HOSTILE, built, message, settings
from tests.servers.sinks import Answer, Post, WebhookSink
from tests.servers.vendors import Dingtalk, Feishu, Opsgenie, Pagerduty, Slack, Teams, Telegram, Wecom
from tests.unit.incidents.alerts import firing

KEY = "canary-6c1f-4d21-9f0e"

Case = tuple[str, Callable[[], Any], Callable[[str], dict[str, Any]]]

CASES: list[Case] = [
    (
        "wecom",
        lambda: Wecom(KEY),
        lambda at: {"url": f"{at}/cgi-bin/webhook/send?key={KEY}", "mention": ["li"]},
    ),
    (
        "dingtalk",
        lambda: Dingtalk(KEY, "SEC" + KEY),
        lambda at: {
            "url": f"{at}/robot/send?access_token={KEY}",
            "secret": "SEC" + KEY,
            "mention": ["13800138000", "all"],
        },
    ),
    (
        "feishu",
        lambda: Feishu(KEY, "S" + KEY),
        lambda at: {
            "url": f"{at}/open-apis/bot/v2/hook/{KEY}",
            "secret": "S" + KEY,
            "mention": ["ou_1"],
        },
    ),
    (
        "slack",
        lambda: Slack(f"/services/T0/B0/{KEY}"),
        lambda at: {"url": f"{at}/services/T0/B0/{KEY}", "mention": ["here", "U123"]},
    ),
    (
        "teams",
        lambda: Teams(f"/workflows/{KEY}?sig={KEY}"),
        lambda at: {"url": f"{at}/workflows/{KEY}?sig={KEY}"},
    ),
    (
        "telegram",
        lambda: Telegram(KEY),
        lambda at: {"token": KEY, "chat_id": "-1001", "thread": 3, "api_url": at},
    ),
    ("pagerduty", lambda: Pagerduty(KEY), lambda at: {"routing_key": KEY, "url": f"{at}/v2/enqueue"}),
    (
        "opsgenie",
        lambda: Opsgenie(KEY),
        lambda at: {"api_key": KEY, "url": at, "teams": ["network"], "tags": ["t"]},
    ),
]
EVERY = pytest.mark.parametrize(("kind", "vendor", "written"), CASES, ids=[case[0] for case in CASES])


def base(sink: WebhookSink) -> str:
    return f"http://127.0.0.1:{sink.port}"


def made(case: Callable[[str], dict[str, Any]], kind: str, sink: WebhookSink, **more: Any) -> AnyReceiver:
    return settings(kind, **(case(base(sink)) | more))


@EVERY
@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_the_service_takes_every_event(kind: str, vendor: Any, written: Any, language: str) -> None:
    sink = WebhookSink()
    sink.choose = vendor()
    async with sink.serve(), built(made(written, kind, sink), language=language) as receiver:
        for event in ("firing", "acknowledged", "resolved"):
            outcome = await receiver.send(message(event))
            assert outcome.result is Result.DELIVERED, outcome
    assert len(sink.posts) == 3
    told = sink.posts[0].body.decode()
    assert "sw1 is down" in told
    assert ("告警" if language == "zh-CN" else "FIRING") in told


@EVERY
async def test_the_service_takes_a_hundred_hostile_alerts(kind: str, vendor: Any, written: Any) -> None:
    sink = WebhookSink()
    sink.choose = vendor()
    async with sink.serve(), built(made(written, kind, sink), language="zh-CN") as receiver:
        outcome = await receiver.send(message(alerts=100, title=HOSTILE * 20, text=HOSTILE))
        assert outcome.result is Result.DELIVERED, outcome
    assert "https://sentinel.example.org/incidents/7" in sink.posts[0].body.decode()


@EVERY
async def test_no_secret_shows_where_a_service_repeats_the_request(
    kind: str, vendor: Any, written: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def repeats(post: Post) -> Answer:
        text = f"refused: {post.path} {dict(post.headers)} {post.body.decode()[:2000]}"
        return Answer(400, body=text.encode())

    sink = WebhookSink()
    sink.choose = repeats
    async with sink.serve():
        one = made(written, kind, sink)
        async with built(one) as receiver:
            outcome = await receiver.send(message())
    assert outcome.result is not Result.DELIVERED
    assert "canary" not in outcome.detail
    assert "canary" not in repr(one)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("sentinel")]
    assert "canary" not in "\n".join(ours)


@EVERY
async def test_a_service_that_does_not_let_us_in_is_tried_again(kind: str, vendor: Any, written: Any) -> None:
    """So that correcting the secret is enough."""
    sink = WebhookSink()
    sink.choose = vendor()
    async with sink.serve():
        wrong = {
            key: value.replace(KEY, "wrong") if isinstance(value, str) else value
            for key, value in written(base(sink)).items()
        }
        async with built(settings(kind, **wrong)) as receiver:
            outcome = await receiver.send(message())
    # Slack and PagerDuty answer a wrong address or key as they answer a wrong message: 404 and 400.
    expected = Result.REFUSED if kind in ("slack", "pagerduty") else Result.RETRY
    assert outcome.result is expected, outcome


@pytest.mark.parametrize(
    ("kind", "answer", "result", "wait"),
    [
        ("wecom", {"errcode": 45009, "errmsg": "api freq out of limit"}, Result.RETRY, 60),
        ("wecom", {"errcode": -1, "errmsg": "system busy"}, Result.RETRY, None),
        ("wecom", {"errcode": 40058, "errmsg": "too long"}, Result.REFUSED, None),
        ("wecom", {}, Result.RETRY, None),
        ("dingtalk", {"errcode": 130101, "errmsg": "send too fast"}, Result.RETRY, 600),
        ("dingtalk", {"errcode": 310000, "errmsg": "sign not match"}, Result.RETRY, None),
        ("dingtalk", {"errcode": 310000, "errmsg": "keywords not in content"}, Result.REFUSED, None),
        ("feishu", {"code": 11232, "msg": "frequency limited"}, Result.RETRY, 60),
        ("feishu", {"code": 19021, "msg": "sign match fail"}, Result.RETRY, None),
        ("feishu", {"code": 19024, "msg": "Key Words Not Found"}, Result.REFUSED, None),
        ("telegram", {"ok": False, "error_code": 429, "parameters": {"retry_after": 7}}, Result.RETRY, 7),
    ],
)
async def test_a_refusal_inside_a_good_status_is_understood(
    kind: str, answer: Any, result: Result, wait: float | None
) -> None:
    written = next(case[2] for case in CASES if case[0] == kind)
    sink = WebhookSink()
    sink.choose = lambda post: Answer(200, body=json.dumps(answer).encode())
    async with sink.serve(), built(made(written, kind, sink)) as receiver:
        outcome = await receiver.send(message())
    assert (outcome.result, outcome.retry_after) == (result, wait)


async def test_teams_tells_of_a_failure_in_a_good_status() -> None:
    sink = WebhookSink()
    text = b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    sink.choose = lambda post: Answer(200, body=text)
    async with sink.serve(), built(settings("teams", url=sink.url)) as receiver:
        outcome = await receiver.send(message())
    assert (outcome.result, outcome.retry_after) == (Result.RETRY, 60)


@pytest.mark.parametrize("kind", ["pagerduty", "opsgenie"])
async def test_a_pager_keeps_one_alert_for_one_incident(kind: str) -> None:
    _, vendor, written = next(case for case in CASES if case[0] == kind)
    sink, service = WebhookSink(), vendor()
    sink.choose = service
    async with sink.serve(), built(made(written, kind, sink)) as receiver:
        for event in ("firing", "acknowledged", "resolved"):
            await receiver.send(message(event))
    words = (
        ["trigger", "acknowledge", "resolve"] if kind == "pagerduty" else ["create", "acknowledge", "close"]
    )
    assert list(service.alerts.values()) == [words]


async def test_words_of_devices_neither_link_nor_call() -> None:
    hostile = message(title=HOSTILE, text=HOSTILE)
    for kind in ("wecom", "dingtalk", "feishu", "teams"):
        _, vendor, written = next(case for case in CASES if case[0] == kind)
        sink = WebhookSink()
        sink.choose = vendor()
        async with sink.serve(), built(made(written, kind, sink, **_nobody(kind))) as receiver:
            await receiver.send(hostile)
        told = sink.posts[0].body.decode()
        assert "](http://evil" not in told
        assert "<@" not in told
        assert "<at" not in told
    sink, telegram = WebhookSink(), Telegram(KEY)
    sink.choose = telegram
    async with sink.serve(), built(made(CASES[5][2], "telegram", sink)) as receiver:
        assert (await receiver.send(hostile)).result is Result.DELIVERED
    assert telegram.links == ["https://sentinel.example.org/incidents/7"]


def _nobody(kind: str) -> dict[str, Any]:
    return {} if kind == "teams" else {"mention": []}


async def test_people_are_called_when_it_fires_and_not_after() -> None:
    for kind, call in (("wecom", "<@li>"), ("feishu", "<at id=ou_1>"), ("slack", "<!here> <@U123>")):
        _, vendor, written = next(case for case in CASES if case[0] == kind)
        sink = WebhookSink()
        sink.choose = vendor()
        async with sink.serve(), built(made(written, kind, sink)) as receiver:
            await receiver.send(message())
            await receiver.send(message("resolved"))
        assert [call in post.body.decode() for post in sink.posts] == [True, False]


async def test_telegram_gets_plain_text_where_a_template_is_no_html() -> None:
    sink, telegram = WebhookSink(), Telegram(KEY)
    sink.choose = telegram
    own = {"text": "<b>{{ .Title }} <unknown>"}
    async with sink.serve(), built(made(CASES[5][2], "telegram", sink, templates=own)) as receiver:
        assert (await receiver.send(message())).result is Result.DELIVERED
    assert telegram.messages[0]["text"] == "sw1 is down"
    assert "parse_mode" not in telegram.messages[0]


@pytest.mark.parametrize("answer", [Answer(hangs=True), Answer(200, drips=True, body=b"x" * 100)])
async def test_a_service_whose_verdict_does_not_come_meets_the_deadline(
    tmp_path: Path, answer: Answer
) -> None:
    sink, quick = WebhookSink(), WebhookSink()
    wecom = Wecom(KEY)
    sink.choose = lambda post: answer if len(sink.posts) < 2 else wecom(post)
    async with sink.serve(), quick.serve():
        slow = settings("wecom", url=f"{base(sink)}/cgi-bin/webhook/send?key={KEY}", timeout="200ms")
        other = settings("webhook", url=quick.url).model_copy(update={"name": "other"})
        async with delivering(tmp_path, [slow, other]) as room:
            await room.tick(firing())
            await quick.until(lambda posts: len(posts) == 1, within=2)
            await room.told()
    assert len(wecom.texts) == 1


async def test_a_services_limit_is_kept_and_no_message_is_lost(tmp_path: Path) -> None:
    sink, clock = WebhookSink(), QuickClock()
    wecom = Wecom(KEY, now=clock.monotonic)
    sink.choose = wecom
    async with sink.serve():
        one = settings("wecom", url=f"{base(sink)}/cgi-bin/webhook/send?key={KEY}", cap="none")
        async with delivering(tmp_path, [one], clock=clock) as room:
            await room.tick(*(firing(instance=f"sw{number}") for number in range(45)))
            await room.told()
            assert room.sample("sentinel_notifications_total", receiver="ops", result="retry") == 0
    assert len(wecom.texts) == len(sink.posts) == 45
