"""Mails about incidents."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from zoneinfo import ZoneInfo

from sentinel.incidents.news import Event, News
from sentinel.model.labels import Labels
from sentinel.notify.letter import Letters
from sentinel.notify.texts import TEXTS, Language, reason_in
from tests.unit.incidents.alerts import START, alert
from tests.unit.notify.news import delivery, news


def written(of: News, language: Language = "en") -> EmailMessage:
    letters = Letters(language=language, zone=ZoneInfo("Asia/Shanghai"))
    mail = letters.write(delivery(of), sender="监控 <s@x.org>", recipients=("a@x.org", "b@x.org"), now=START)
    return message_from_bytes(mail.as_bytes(), policy=policy.default)


def body(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_a_mail_says_what_happened_in_both_languages() -> None:
    mail = written(news())
    assert mail["Subject"] == "[FIRING] [II] sw1 is down"
    assert "Since: 2023-11-15 06:13:20 CST" in body(mail, "plain")
    mail = written(news(Event.RESOLVED), "zh-CN")
    assert mail["Subject"] == "[已恢复] [II] sw1 is down"
    assert "持续时间 1m" in body(mail, "plain")
    assert set(TEXTS["en"]) == set(TEXTS["zh-CN"])


def test_mails_of_one_incident_are_one_thread() -> None:
    first, last = written(news()), written(news(Event.RESOLVED))
    assert first["Message-ID"] == f"<{'k' * 32}@x.org>"
    assert first["In-Reply-To"] == last["In-Reply-To"] == f"<incident.7.{int(START)}@x.org>"
    assert first["References"] == last["References"]


def test_hostile_text_stays_text() -> None:
    title = "down\r\nBcc: evil@x.org\r\n\r\n<img src=x onerror=alert(1)>"
    hostile = alert(ifName="<script>alert(1)</script>")
    mail = written(news(alerts=[hostile], title=title))
    assert mail["Bcc"] is None
    assert "\n" not in str(mail["Subject"])
    html = body(mail, "html")
    assert "<img" not in html
    assert "<script" not in html
    assert "&lt;img" in html


def test_only_web_addresses_of_runbooks_become_links() -> None:
    def with_runbook(url: str) -> str:
        one = alert()
        noted = type(one)(
            one.fingerprint, one.group, one.labels, Labels(runbook_url=url), one.state, 1.0, START
        )
        return body(written(news(alerts=[noted])), "html")

    assert 'href="https://runbooks/x"' in with_runbook("https://runbooks/x")
    assert 'href="javascript' not in with_runbook("javascript:alert(1)")
    assert "javascript:alert(1)" in with_runbook("javascript:alert(1)")


def test_every_reason_has_chinese_words() -> None:
    reasons = ("opened", "1 more alert", "12 more alerts", "all alerts are over", "resolved by li")
    for reason in (*reasons, "acknowledged by li"):
        assert reason_in("zh-CN", reason) != reason
