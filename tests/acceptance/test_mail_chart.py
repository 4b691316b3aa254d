"""A mail of the running daemon carries its chart, and one after a reload too."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.daemon import Daemon
from tests.servers.sinks import Mail, smtp_sink

CONFIG = """
[[target]]
name = "here"
address = "localhost"
modules = ["local"]
[route]
receiver = "mail"
[[receiver]]
name = "mail"
kind = "email"
to = ["duty@example.org"]
from = "sentinel@example.org"
smarthost = "127.0.0.1:{port}"
tls = "none"
"""

RULES = """
groups:
  - name: g
    rules:
      - alert: NAME
        expr: node_memory_MemTotal_bytes{job="local"} > 1000
        for: 35s
        annotations: {summary: "{{ $labels.instance }} has NAME"}
"""


def pictures(mail: Mail) -> list[bytes]:
    parts = [part for part in mail.message.walk() if part.get_content_type() == "image/png"]
    return [bytes(part.get_content()) for part in parts]


async def test_a_mail_of_the_daemon_carries_its_chart(tmp_path: Path) -> None:
    async with smtp_sink() as sink:
        daemon = Daemon(tmp_path, CONFIG.format(port=sink.port), RULES.replace("NAME", "Memory"))
        try:
            await daemon.start()
            await sink.until(lambda mails: len(mails) == 1, within=90)
            daemon.rules.write_text(RULES.replace("NAME", "Other").replace("for: 35s", "for: 1s"))
            daemon.hang_up()
            await sink.until(lambda mails: any("has Other" in one.text("html") for one in mails), within=60)
        finally:
            daemon.kill()
    firing = [mail for mail in sink.mails if mail.message["Subject"].startswith("[FIRING]")]
    assert len(firing) == 2
    for mail, name in zip(firing, ("Memory", "Other"), strict=True):
        (picture,) = pictures(mail)
        assert picture.startswith(b"\x89PNG")
        assert f'alt="here has {name}, ' in mail.text("html")
        assert "threshold 1k" in mail.text("html")
