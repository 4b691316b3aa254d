"""Short messages: their size, and gateways of several habits."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.notify.receiver import Delivery, Result
from sentinel.notify.receivers.sms import fitting
from tests.integration.delivery import delivering
from tests.integration.services import HOSTILE, built, message, settings
from tests.servers.sinks import Answer, WebhookSink
from tests.unit.incidents.alerts import firing

NUMBERS = ["+8613800138000", "+8613900139000"]


def septets(text: str) -> int | None:
    """None: not in the default alphabet. The ASCII part alone, which is what the tests write."""
    if not text.isascii() or any(char in "`\t" for char in text):
        return None
    return len(text) + sum(char in "^{}\\[~]|" for char in text)


@given(st.text(st.sampled_from("abc XYZ09-_.#:[]{}|~^\\"), max_size=900), st.integers(1, 4))
def test_a_plain_text_fills_no_more_messages_than_allowed(text: str, parts: int) -> None:
    line = fitting(text, parts)
    count = septets(line)
    assert count is not None
    assert count <= (160 if parts == 1 else 153 * parts)


@given(st.text(st.sampled_from("告警核心abc😀 é"), max_size=500), st.integers(1, 4))
def test_a_text_with_chinese_fills_no_more_messages_than_allowed(text: str, parts: int) -> None:
    line = fitting(text, parts)
    length = len(line.encode("utf-16-be")) // 2
    assert length <= (70 if parts == 1 else 67 * parts) or septets(line.replace("é", "e")) is not None
    assert line.startswith(" ".join(text.split())[:20])


def test_the_essential_comes_first() -> None:
    assert fitting("告警 I core-1 " + "长" * 100, 1).startswith("告警 I core-1")
    assert len(fitting("长" * 100, 1)) == 70
    assert len(fitting("a" * 300, 1)) == 160


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"to": "{{ .Number }}", "text": "{{ .Text }}"}'),
        ("application/x-www-form-urlencoded", "to={{ .Number }}&text={{ .Text }}"),
        ("application/xml", '<sms to="{{ .Number }}"><text>{{ .Text }}</text></sms>'),
    ],
)
async def test_a_hostile_text_stays_a_text_in_every_form(content_type: str, body: str) -> None:
    sink = WebhookSink()
    async with sink.serve():
        one = settings("sms", to=NUMBERS, url=sink.url, body=body, content_type=content_type, parts=3)
        async with built(one) as receiver:
            outcome = await receiver.send(message(title=HOSTILE + '","to":"+1900&to=+1900'))
    assert outcome.result is Result.DELIVERED
    for post, number in zip(sink.posts, NUMBERS, strict=True):
        assert post.headers["content-type"] == f"{content_type}; charset=utf-8"
        text = post.body.decode()
        if content_type == "application/json":
            found = json.loads(text)
            to, told = found["to"], found["text"]
            assert set(found) == {"to", "text"}
        elif content_type == "application/xml":
            root = ET.fromstring(text)
            to, told = root.attrib["to"], root.findtext("text") or ""
        else:
            form = parse_qs(text, strict_parsing=True)
            (to,), (told,) = form["to"], form["text"]
        assert to == number
        assert told.startswith("FIRING II sw1 x<b>&]")


async def test_a_gateway_may_be_asked_by_address_alone() -> None:
    sink = WebhookSink()
    async with sink.serve():
        url = f"http://127.0.0.1:{sink.port}/send?to={{{{ .Number }}}}&text={{{{ .Text }}}}&key=canary"
        async with built(settings("sms", to=NUMBERS[:1], url=url, method="GET")) as receiver:
            outcome = await receiver.send(message(title="a&b=c #x 告警\r\nHost: evil"))
    assert outcome.result is Result.DELIVERED
    (post,) = sink.posts
    query = parse_qs(urlsplit(post.path).query)
    assert post.method == "GET"
    assert query["to"] == NUMBERS[:1]
    assert query["text"] == ["FIRING II sw1 a&b=c #x 告警 Host: evil #7"]
    assert post.headers["host"] == f"127.0.0.1:{sink.port}"


async def test_at_the_deadline_it_is_known_whose_phone_has_rung(tmp_path: Path) -> None:
    """A gateway that hangs at the second number: the first gets its message once."""
    sink = WebhookSink()
    sink.choose = lambda post: Answer(hangs=NUMBERS[1] in post.body.decode() and len(sink.posts) < 4)
    async with sink.serve():
        body = '{"to": "{{ .Number }}", "text": "{{ .Text }}"}'
        one = settings("sms", to=NUMBERS, url=sink.url, body=body, timeout="300ms")
        async with delivering(tmp_path, [one]) as room:
            await room.tick(firing())
            await room.told()
    told = [json.loads(post.body)["to"] for post in sink.posts]
    assert told[0] == NUMBERS[0]
    assert told[1:] == [NUMBERS[1]] * 4


async def test_each_number_is_settled_by_itself() -> None:
    sink = WebhookSink()
    sink.answers.extend([Answer(200, body=b'{"code":0}'), Answer(200, body=b'{"code":17}')])
    sink.choose = lambda post: Answer(200, body=b'{"code":0}')
    async with sink.serve():
        body = '{"to": "{{ .Number }}", "text": "{{ .Text }}"}'
        one = settings("sms", to=NUMBERS, url=sink.url, body=body, success='"code": ?0\\b')
        async with built(one) as receiver:
            first = await receiver.send(message())
            assert (first.result, first.recipients) == (Result.RETRY, {NUMBERS[0]: "accepted"})
            assert 'not successful: {"code":17}' in first.detail
            again = message()
            again = Delivery(1, again.key, 7, "ops", "firing", again.facts, first.recipients)
            second = await receiver.send(again)
    assert second.result is Result.DELIVERED
    assert [json.loads(post.body)["to"] for post in sink.posts] == [*NUMBERS, NUMBERS[1]]
