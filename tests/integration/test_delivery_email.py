"""Mails through a real SMTP server."""

from __future__ import annotations

from collections import deque
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from sentinel.config.receivers import NotifySettings
from sentinel.model.incident import EntryKind
from sentinel.notify.receiver import Result
from tests.integration.delivery import delivering, mail
from tests.integration.services import built, message
from tests.servers.certificates import certificate
from tests.servers.debian import free_port
from tests.servers.sinks import smtp_sink
from tests.unit.incidents.alerts import START, firing, resolved

THREE = ["a@x.org", "Bao <b@x.org>", "c@x.org"]


async def test_an_incident_and_its_recovery_are_one_thread(tmp_path: Path) -> None:
    async with smtp_sink() as sink, delivering(tmp_path, [mail(sink.port, to=THREE)]) as room:
        await room.tick(firing(summary="核心交换机 is down"))
        await room.tick(resolved(at=START + 60))
        await room.told()
        first, last = sink.mails
        assert first.recipients == ("a@x.org", "b@x.org", "c@x.org")
        assert first.message["Subject"] == "[FIRING] [III] 核心交换机 is down"
        assert last.message["Subject"] == "[RESOLVED] [III] 核心交换机 is down"
        assert first.message["References"] == last.message["References"]
        keys = [one.key for one in (await room.show(1)).deliveries]
        assert [one.message["Message-ID"] for one in sink.mails] == [f"<{key}@x.org>" for key in keys]
        assert first.raw.isascii()


async def test_chinese_mails(tmp_path: Path) -> None:
    async with smtp_sink() as sink, delivering(tmp_path, [mail(sink.port, language="zh-CN")]) as room:
        await room.tick(firing(), resolved(at=START + 90))
        await room.told()
        assert "等级: III" in sink.mails[0].text()
        assert "持续时间 1m30s" in sink.mails[1].text()
        assert "已恢复" in sink.mails[1].text("html")


async def test_one_bad_recipient_of_three_costs_the_others_nothing(tmp_path: Path) -> None:
    async with smtp_sink() as sink, delivering(tmp_path, [mail(sink.port, to=THREE)]) as room:
        sink.refuse["b@x.org"] = deque(["550 no such user"])
        await room.tick(firing())
        await room.told()
        assert [one.recipients for one in sink.mails] == [("a@x.org", "c@x.org")]
        record = await room.show(1)
        assert [one.state for one in record.deliveries] == ["delivered"]
        (refused,) = [entry.text for entry in record.entries if entry.kind is EntryKind.NOT_DELIVERED]
        assert "b@x.org: 550 no such user" in refused


async def test_a_recipient_who_is_put_off_gets_it_later_and_the_others_once(tmp_path: Path) -> None:
    async with smtp_sink() as sink, delivering(tmp_path, [mail(sink.port, to=THREE)]) as room:
        sink.refuse["b@x.org"] = deque(["451 try later"])
        await room.tick(firing())
        await sink.until(lambda mails: len(mails) == 1)
        del sink.refuse["b@x.org"]
        await room.told()
        assert [one.recipients for one in sink.mails] == [("a@x.org", "c@x.org"), ("b@x.org",)]
        assert len({one.message["Message-ID"] for one in sink.mails}) == 1


async def test_when_nobody_can_have_it_it_is_a_dead_letter(tmp_path: Path) -> None:
    async with smtp_sink() as sink, delivering(tmp_path, [mail(sink.port, to=THREE)]) as room:
        for to in ("a@x.org", "b@x.org", "c@x.org"):
            sink.refuse[to] = deque(["550 no"])
        await room.tick(firing())
        await room.told()
        assert [one.state for one in (await room.show(1)).deliveries] == ["dead"]


@pytest.mark.parametrize(
    ("answer", "state", "count"), [("451 busy", "delivered", 1), ("554 spam", "dead", 0)]
)
async def test_the_servers_word_on_the_whole_mail_counts(
    tmp_path: Path, answer: str, state: str, count: int
) -> None:
    async with smtp_sink() as sink, delivering(tmp_path, [mail(sink.port)]) as room:
        sink.data.append(answer)
        await room.tick(firing())
        await room.told()
        assert [one.state for one in (await room.show(1)).deliveries] == [state]
        assert len(sink.mails) == count


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("mode", ["tls", "starttls"])
async def test_tls_is_verified_and_the_login_goes_through_it(tmp_path: Path, mode: str) -> None:
    files = certificate(tmp_path)
    settings = {"tls": mode, "username": "u", "password": "geheim", "ca_file": str(files.certificate)}
    async with smtp_sink(tls=files.server(), starttls=mode == "starttls", login=("u", "geheim")) as sink:
        async with delivering(tmp_path / "a", [mail(sink.port, **settings)]) as room:
            await room.tick(firing())
            await room.told()
            assert len(sink.mails) == 1
        del settings["ca_file"]
        async with delivering(tmp_path / "b", [mail(sink.port, **settings)]) as room:
            await room.tick(firing())
            record = await room.tried(1)
            assert "certificate" in record.deliveries[0].last_error.lower()
        assert len(sink.mails) == 1


async def test_texts_of_ones_own_are_escaped_where_they_are_html(tmp_path: Path) -> None:
    templates = {
        "subject": "{{ .Word }}\r\nBcc: all@x.org {{ .Title }}",
        "text": "Text: {{ .Title }}",
        "html": "<p>{{ .Title }}</p>",
    }
    async with smtp_sink() as sink, delivering(tmp_path, [mail(sink.port, templates=templates)]) as room:
        await room.tick(firing(summary="<script>alert(1)</script>\r\nBcc: all@y.org"))
        await room.told()
    (one,) = sink.mails
    assert one.recipients == ("a@x.org",)
    assert one.message["Bcc"] is None
    assert one.message["Subject"] == "FIRING Bcc: all@x.org <script>alert(1)</script> Bcc: all@y.org"
    assert one.text().startswith("Text: <script>")
    assert one.text("html").strip() == "<p>&lt;script&gt;alert(1)&lt;/script&gt; Bcc: all@y.org</p>"


async def test_a_text_of_ones_own_alone_is_the_whole_mail(tmp_path: Path) -> None:
    own = {"text": "{{ .Title }} {{ .Nothing }}"}
    async with smtp_sink() as sink:
        async with delivering(tmp_path / "a", [mail(sink.port, templates={"text": "{{ .Title }}"})]) as room:
            await room.tick(firing(summary="sw1 is down"))
            await room.told()
        async with delivering(tmp_path / "b", [mail(sink.port, templates=own)]) as room:
            await room.tick(firing(summary="sw1 is down"))
            await room.told()
    first, second = sink.mails
    assert (first.text().strip(), first.text("html")) == ("sw1 is down", "")
    assert "Since: " in second.text()  # it fails with every message: the shipped text is sent


async def test_a_mail_server_outside_the_networks_is_not_connected_to(tmp_path: Path) -> None:
    async with smtp_sink() as sink:
        around: dict[str, Any] = {"notify": NotifySettings(networks=(ip_network("10.0.0.0/8"),))}
        async with built(mail(sink.port, smarthost=f"localhost:{sink.port}"), **around) as receiver:
            outcome = await receiver.send(message())
    assert outcome.result is Result.RETRY
    assert "may not send" in outcome.detail
    assert sink.mails == []


async def test_a_server_that_is_away_gets_it_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    async with delivering(tmp_path, [mail(port)]) as room:
        await room.tick(firing())
        await room.tried(1, attempts=2)
        async with smtp_sink(port=port) as sink:
            await room.told()
            assert len(sink.mails) == 1
