"""A server whose host key changes: an incident, and nothing is ever sent to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.debian import ROOT
from tests.servers.sshd import Sshd


def config(server: Sshd) -> str:
    return f"""
[auth.key]
kind = "ssh"
username = "{server.username}"
key = {{file = "{server.private_key_path}"}}
known_hosts = "{server.known_hosts}"
[[target]]
name = "web1"
address = "{server.address}"
modules = ["linux"]
auth = "key"
"""


async def test_a_changed_host_key_opens_an_incident_that_ends_when_a_person_accepts_the_key(
    tmp_path: Path,
) -> None:
    with Sshd(tmp_path / "sshd") as server:
        daemon = Daemon(tmp_path, config(server), (ROOT / "rules/ssh.yml").read_text())

        async def incidents() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await daemon.get("/api/sentinel/v1/incidents")).json()
            return found

        async def is_up() -> bool:
            return bool(await daemon.query("up{instance='web1'} == 1"))

        async def is_open() -> bool:
            return [one["state"] for one in await incidents()] == ["open"]

        async def has_ended() -> bool:
            return not any(one["state"] == "open" for one in await incidents())

        try:
            await daemon.start()
            await eventually(is_up, "the server is read")
            logins = server.logins
            server.change_host_key()
            await eventually(is_open, "an incident opens")
            (incident,) = await incidents()
            assert incident["title"] == "web1 shows another SSH host key"
            polls = (await daemon.query("sentinel_polls_total{module='linux'}"))[0]["value"][1]

            async def later() -> bool:
                found = await daemon.query("sentinel_polls_total{module='linux'}")
                return float(found[0]["value"][1]) >= float(polls) + 1

            await eventually(later, "it is polled on")
            assert server.logins == logins
            assert await is_open()
            server.write_known_hosts()
            await eventually(is_up, "the server is read again")
            await eventually(has_ended, "the incident ends")
        finally:
            daemon.kill()
