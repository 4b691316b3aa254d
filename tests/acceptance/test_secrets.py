"""Secrets of the configuration show nowhere: not in the log, on pages, in answers, errors or the database."""

from __future__ import annotations

import base64
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.certificates import certificate
from tests.servers.sinks import Answer, WebhookSink, smtp_sink
from tests.servers.snmpd import Snmpd
from tests.servers.sshd import Sshd

SECRETS = {
    "community": "canary-community",
    "password": "canary-ssh-password",
    "passphrase": "canary-passphrase",
    "path": "canary-url-path",
    "query": "canary-url-query",
    "header": "canary-header",
    "smtp": "canary-smtp-password",
}

RULES = """
groups:
  - name: g
    rules:
      - {alert: Down, expr: up == 0, labels: {severity: critical}}
"""

PATHS = (
    "/",
    "/metrics",
    "/-/ready",
    "/api/v1/rules",
    "/api/v1/alerts",
    "/api/v1/targets",
    "/api/openapi.json",
    "/api/sentinel/v1/targets",
    "/api/sentinel/v1/alerts",
    "/api/sentinel/v1/incidents",
    "/api/v2/status",
    "/api/v2/alerts",
    "/api/v2/alerts/groups",
    "/api/v2/receivers",
    "/api/v2/silences",
)

MISTAKES = {
    "an unfinished text": ('"canary-community"', '"canary-community'),
    "a wrong escape": ('"canary-community"', r'"canary-community\q"'),
    "a list": ('"canary-smtp-password"', '["canary-smtp-password"]'),
    "a number and a text": ('"canary-smtp-password"', '1 "canary-smtp-password"'),
    "a table": ('"canary-ssh-password"', '{fil = "canary-ssh-password"}'),
    "a mistyped key": ("password = ", "pasword = "),
    "a wrong passphrase": ('"canary-passphrase"', '"canary-passphrase, another"'),
    "a wrong scheme": ('"http:', '"htp:'),
    "a header in two lines": ('"Bearer canary-header"', r'"Bearer canary-header\nX: y"'),
    "headers as a text": ('{Authorization = "Bearer canary-header"}', '"Bearer canary-header"'),
}


def found_in(text: str) -> list[str]:
    """Names of the secrets that the text shows, plainly or in base64 as log-ins send them."""
    forms = {
        name: (secret, *(base64.b64encode(pad + secret.encode())[4:20].decode() for pad in (b"", b"\0u\0")))
        for name, secret in SECRETS.items()
    }
    return [name for name, known in forms.items() if any(form in text for form in known)]


@pytest.fixture
async def hook() -> AsyncIterator[WebhookSink]:
    sink = WebhookSink()
    # Some servers repeat the request in their errors.
    sink.choose = lambda post: Answer(
        500, body=f"out of order: {post.path} {post.headers['authorization']}".encode()
    )
    async with sink.serve():
        yield sink


@pytest.fixture
async def daemon(tmp_path: Path, hook: WebhookSink) -> AsyncIterator[Daemon]:
    files = certificate(tmp_path)
    with Snmpd() as switch, Sshd(tmp_path / "sshd") as server:
        key = tmp_path / "key"
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", SECRETS["passphrase"], "-f", str(key)]
        subprocess.run(command, check=True)
        async with smtp_sink(tls=files.server(), starttls=True, login=("u", "another")) as mail:
            config = f"""
[auth.community]
kind = "snmp"
community = "{SECRETS["community"]}"
[auth.password]
kind = "ssh"
username = "{server.username}"
password = "{SECRETS["password"]}"
known_hosts = "{server.known_hosts}"
[auth.key]
kind = "ssh"
username = "{server.username}"
key = {{file = "{key}"}}
passphrase = "{SECRETS["passphrase"]}"
known_hosts = "{server.known_hosts}"
[[target]]
name = "sw1"
address = "{switch.address}"
modules = ["system"]
auth = "community"
[[target]]
name = "by-password"
address = "{server.address}"
modules = ["linux"]
auth = "password"
[[target]]
name = "by-key"
address = "{server.address}"
modules = ["linux"]
auth = "key"
[route]
receiver = "hook"
[[route.routes]]
receiver = "mail"
continue = true
[[route.routes]]
receiver = "hook"
[[receiver]]
name = "hook"
kind = "webhook"
url = "{hook.url}/{SECRETS["path"]}?token={SECRETS["query"]}"
headers = {{Authorization = "Bearer {SECRETS["header"]}"}}
[[receiver]]
name = "mail"
kind = "email"
to = ["duty@example.org"]
from = "sentinel@example.org"
smarthost = "127.0.0.1:{mail.port}"
ca_file = "{files.certificate}"
username = "u"
password = "{SECRETS["smtp"]}"
"""
            made = Daemon(tmp_path, config, RULES)
            text = made.config.read_text()
            made.config.write_text(text.replace("[daemon]", '[daemon]\nlog_level = "debug"', 1))
            await made.start()
            yield made
            made.kill()


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
async def test_secrets_show_nowhere_while_everything_they_open_fails(
    daemon: Daemon, hook: WebhookSink
) -> None:
    token = daemon.command("token", "create", "t").stdout.strip()
    await eventually(lambda: _all_down(daemon), "no target can be read")
    await eventually(lambda: _logged(daemon, "login refused", "500 out of order"), "no receiver takes it")
    assert hook.posts[0].headers["authorization"] == f"Bearer {SECRETS['header']}"
    good = daemon.config.read_text()
    for kind, (right, wrong) in MISTAKES.items():
        assert right in good
        daemon.config.write_text(good.replace(right, wrong))
        answer = await daemon.post("/-/reload", token)
        assert answer.status_code == 400, kind
        assert found_in(answer.text) == [], kind
    daemon.config.write_text(good)
    probed = daemon.command("probe", "by-password", "--config", str(daemon.config))
    assert probed.returncode == 1
    assert found_in(probed.stdout + probed.stderr) == []
    for path in PATHS:
        answer = await daemon.get(path)
        assert answer.status_code == 200, path
        assert found_in(answer.text) == [], path
    assert found_in((await daemon.get("/metrics", scope="self")).text) == []
    for incident in (await daemon.get("/api/sentinel/v1/incidents")).json():
        assert found_in((await daemon.get(f"/api/sentinel/v1/incidents/{incident['id']}")).text) == []
    assert daemon.stop() == 0
    assert found_in(daemon.log.read_text()) == []
    with sqlite3.connect(daemon.folder / "data/sentinel.db") as connection:
        dump = "\n".join(connection.iterdump())
    assert "CREATE TABLE outbox" in dump
    assert found_in(dump) == []
    for text in (daemon.log.read_text(), dump):
        assert token not in text


async def _all_down(daemon: Daemon) -> bool:
    return len(await daemon.query("up == 0")) == 3


async def _logged(daemon: Daemon, *texts: str) -> bool:
    log = daemon.log.read_text()
    return all(text in log for text in texts)
