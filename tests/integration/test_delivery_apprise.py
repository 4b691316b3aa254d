"""Apprise's services by URL, to real far sides."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from sentinel.notify.receiver import Result
from tests.integration.services import HOSTILE, built, message, settings
from tests.servers.sinks import Answer, WebhookSink


async def test_a_message_arrives_by_a_url_of_apprises() -> None:
    sink = WebhookSink()
    async with sink.serve():
        one = settings("apprise", url=f"json://user:canary-word@127.0.0.1:{sink.port}/path")
        async with built(one, language="zh-CN") as receiver:
            outcome = await receiver.send(message(title="核心交换机失联 " + HOSTILE))
    assert outcome.result is Result.DELIVERED
    (post,) = sink.posts
    assert post.json["title"].startswith("告警 [II] 核心交换机失联")
    assert "https://sentinel.example.org/incidents/7" in post.json["message"]
    assert post.json["type"] == "failure"


@pytest.mark.parametrize("answer", [Answer(500, body=b"canary-token"), Answer(302, {"Location": "/"})])
async def test_what_is_not_taken_is_tried_again_and_tells_no_secret(
    answer: Answer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    sink = WebhookSink()
    sink.choose = lambda post: answer
    async with sink.serve():
        one = settings("apprise", url=f"json://user:canary-word@127.0.0.1:{sink.port}/canary-token")
        async with built(one) as receiver:
            outcome = await receiver.send(message())
    assert outcome.result is Result.RETRY
    assert len(sink.posts) == 1
    assert "canary" not in outcome.detail
    assert "canary" not in caplog.text
    assert "canary" not in "".join(capfd.readouterr())


async def test_one_that_hangs_holds_up_neither_the_daemon_nor_its_end() -> None:
    sink = WebhookSink()
    sink.choose = lambda post: Answer(hangs=True)
    async with sink.serve():
        one = settings("apprise", url=f"json://127.0.0.1:{sink.port}/", concurrency=2)
        async with built(one) as receiver:
            began = time.monotonic()
            for _ in range(6):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await receiver.receiver.send(message())
            assert time.monotonic() - began < 2
    mine = [thread for thread in threading.enumerate() if thread.name == "apprise"]
    assert len(mine) <= 2
    assert all(thread.daemon for thread in mine)
