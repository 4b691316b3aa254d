"""From a rule to people, over the whole daemon: several kinds of receivers, groups, and why."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.sinks import SmtpSink, WebhookSink, smtp_sink

RULES = """
groups:
  - name: acceptance
    rules:
      - alert: Site
        expr: vector(1)
        labels: {severity: critical, site: hq}
        annotations: {summary: "the site is away"}
      - alert: Port
        expr: label_replace(vector(1), "port", "1", "", "") or label_replace(vector(1), "port", "2", "", "")
        labels: {severity: warning, site: hq}
      - alert: Hidden
        expr: vector(1)
        labels: {severity: warning, site: hq}
"""

CONFIG = """
[route]
receiver = "hook"

[[route.routes]]
receiver = "mail"
matchers = ['severity="critical"']
continue = true

[[route.routes]]
receiver = "chat"
matchers = ['alertname="Port"']
group_by = ["alertname", "site"]
group_wait = "1s"
group_interval = "2s"
repeat_interval = "1h"
continue = true

[[route.routes]]
receiver = "hook"

[[inhibit]]
source_matchers = ['alertname="Site"']
target_matchers = ['alertname="Hidden"']
equal = ["site"]

[[receiver]]
name = "hook"
kind = "webhook"
url = "{hook}"

[[receiver]]
name = "chat"
kind = "slack"
url = "{chat}"

[[receiver]]
name = "mail"
kind = "email"
to = ["ops@example.org"]
from = "sentinel@example.org"
smarthost = "127.0.0.1:{smtp}"
tls = "none"
"""


@dataclass
class Site:
    daemon: Daemon
    hook: WebhookSink
    chat: WebhookSink
    mail: SmtpSink

    def hooked(self, name: str) -> list[str]:
        """What the webhook heard of alerts of that name."""
        return [
            post.json["status"]
            for post in self.hook.posts
            if any(alert["labels"]["alertname"] == name for alert in post.json["alerts"])
        ]

    async def fingerprint(self, name: str) -> str:
        alerts = (await self.daemon.get("/api/sentinel/v1/alerts")).json()
        return next((str(one["fingerprint"]) for one in alerts if one["name"] == name), "")

    def explained(self, fingerprint: str) -> str:
        done = self.daemon.command("explain", "alert", fingerprint[:10])
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    hook, chat = WebhookSink(), WebhookSink()
    async with hook.serve(), chat.serve(), smtp_sink() as mail:
        config = CONFIG.format(hook=hook.url, chat=chat.url, smtp=mail.port)
        daemon = Daemon(tmp_path, config, RULES)
        try:
            await daemon.start()
            yield Site(daemon, hook, chat, mail)
        finally:
            daemon.kill()


async def test_each_hears_what_is_theirs_in_their_groups_and_why_not_the_rest(site: Site) -> None:
    await site.mail.until(lambda mails: len(mails) == 1, within=30)
    await site.chat.until(lambda posts: len(posts) == 1, within=30)
    await site.hook.until(lambda posts: len(posts) >= 3, within=30)
    mail = site.mail.mails[0]
    assert "the site is away" in str(mail.message["Subject"])
    assert "Port" in site.chat.posts[0].body.decode()
    assert site.hooked("Site") == ["firing"]
    assert site.hooked("Port") == ["firing", "firing"]  # an incident for each
    assert site.hooked("Hidden") == []
    hidden = site.explained(await site.fingerprint("Hidden"))
    assert "hook not told now: inhibition: the site is away" in hidden
    port = site.explained(await site.fingerprint("Port"))
    assert '{}/{alertname="Port"}:{alertname="Port", site="hq"} with 2 alerts' in port
    assert "told to " in port

    # Without the source the rest is told; everybody hears the end of what they know, and nothing else.
    site.daemon.rules.write_text(
        RULES.replace(
            "expr: vector(1)\n        labels: {severity: critical",
            "expr: vector(1) > 1\n        labels: {severity: critical",
        )
    )
    site.daemon.hang_up()
    await site.mail.until(lambda mails: len(mails) == 2, within=30)
    await site.hook.until(lambda _: site.hooked("Hidden") == ["firing"], within=40)
    site.daemon.rules.write_text("groups: []\n")
    site.daemon.hang_up()
    await site.hook.until(lambda _: site.hooked("Hidden") == ["firing", "resolved"], within=30)
    await site.chat.until(lambda posts: len(posts) == 2, within=30)

    async def is_quiet() -> bool:
        done = site.daemon.command("outbox", "list", "--state", "pending", "--output", "json")
        return bool(json.loads(done.stdout) == [])

    await eventually(is_quiet, "nothing waits")
    assert site.hooked("Site") == ["firing", "resolved"]
    assert site.hooked("Port").count("resolved") == 2
    assert [mail.message["In-Reply-To"] for mail in site.mail.mails] == [mail.message["In-Reply-To"]] * 2
    assert len(site.chat.posts) == 2
