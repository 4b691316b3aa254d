"""`sentinel notify test`: through the real receiver, to a real far side."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sentinel.cli.main import app
from tests.servers.debian import free_port
from tests.servers.sinks import Answer, webhook_sink_in_thread
from tests.servers.vendors import Pagerduty

HEAD = "rules = {files = []}\ncollect = {collectors = []}\n"


def run(folder: Path, receivers: str, *words: str) -> Result:
    config = folder / "config.toml"
    config.write_text(HEAD + receivers)
    return CliRunner().invoke(app, ["notify", "test", *words, "--config", str(config)])


def test_what_the_far_side_answers_is_printed_and_decides_the_status(tmp_path: Path) -> None:
    with webhook_sink_in_thread() as sink:
        hook = f'[[receiver]]\nname = "ops"\nkind = "webhook"\nurl = "{sink.url}?token=canary-1"\n'
        sink.answers.extend([Answer(200), Answer(401, body=b"no such token: canary-1")])
        good = run(tmp_path, hook, "ops")
        assert (good.exit_code, good.output) == (0, "ops (webhook): delivered: 200\n")
        bad = run(tmp_path, hook, "ops")
        assert (bad.exit_code, bad.output) == (1, "ops (webhook): refused: 401 no such token: ***\n")
        body = sink.posts[0].json
        assert "TEST MESSAGE" in body["alerts"][0]["annotations"]["summary"]
        assert body["sentinel"]["grade"] == "IV"


def test_a_pager_opens_and_ends_the_same_test_alert(tmp_path: Path) -> None:
    with webhook_sink_in_thread() as sink:
        service = Pagerduty("key")
        sink.choose = service
        url = f"http://127.0.0.1:{sink.port}/v2/enqueue"
        pager = f'[[receiver]]\nname = "p"\nkind = "pagerduty"\nrouting_key = "key"\nurl = "{url}"\n'
        for event in ("firing", "acknowledged", "resolved"):
            assert run(tmp_path, pager, "p", "--event", event).exit_code == 0
    assert len(sink.posts) == 3
    assert len(service.alerts) in (1, 2)  # two if an hour began meanwhile


@pytest.mark.parametrize(
    ("receivers", "status", "part"),
    [
        (
            '[[receiver]]\nname = "ops"\nkind = "webhook"\nurl = "http://127.0.0.1:PORT/"\n',
            1,
            "cannot connect",
        ),
        (
            '[[receiver]]\nname = "oops"\nkind = "webhook"\nurl = "http://127.0.0.1:1/"\n',
            2,
            "did you mean 'oops'?",
        ),
        ("", 2, "no receiver 'ops'"),
        ('[[receiver]]\nname = "ops"\nkind = "hook"\n', 78, "unknown kind 'hook'"),
    ],
)
def test_what_cannot_be_sent_says_why(tmp_path: Path, receivers: str, status: int, part: str) -> None:
    answer = run(tmp_path, receivers.replace("PORT", str(free_port())), "ops")
    assert answer.exit_code == status
    assert part in answer.output
