"""Bad input gives one clear error that says where and what to do; a reload with it changes nothing."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.snmpd import Snmpd
from tests.servers.sshd import Sshd

RULE = 'groups:\n  - name: g\n    rules:\n      - alert: Watched\n        expr: up{job="local"} == 1\n'
LOCAL = '[[target]]\nname = "here"\naddress = "localhost"\nmodules = ["local"]\n'

BROKEN = {
    "toml": ("[[target]\n", "", "config.toml:", "not TOML"),
    "key": (
        '[colect]\ninterval = "1s"\n',
        "",
        "config.toml:",
        "unknown key 'colect' (did you mean 'collect'?)",
    ),
    "module": (
        LOCAL.replace('local"]', 'lokal"]'),
        "",
        "config.toml:",
        "unknown module 'lokal' (did you mean 'local'?)",
    ),
    "duplicate": (LOCAL + LOCAL, "", "config.toml:", "target 'here' is already declared at"),
    "receiver": (LOCAL + '[route]\nreceiver = "x"\n', "", "config.toml:", "unknown receiver 'x'"),
    "secret": (
        LOCAL + '[auth.a]\nkind = "snmp"\ncommunity = {env = "NOT_SET"}\n',
        "",
        "config.toml:",
        "NOT_SET is not set",
    ),
    "ssh key": (
        LOCAL + '[auth.a]\nkind = "ssh"\nusername = "u"\nkey = "no key"\n',
        "",
        "config.toml:",
        "a: ",
    ),
    "pinned key": (LOCAL + 'host_key = "SHA256:short"\n', "", "config.toml:", "host_key: "),
    "rule file": (LOCAL, RULE.replace("expr", "exp"), "rules.yml:5:9:", "'exp' (did you mean 'expr'?)"),
    "expression": (LOCAL, RULE.replace("== 1", "== "), "rules.yml:5:", ""),
    "function": (
        LOCAL,
        RULE.replace("up{", "upp_rate(up{").replace("} ==", "}) =="),
        "rules.yml:5:15:",
        "upp_rate",
    ),
    "template": (
        LOCAL,
        RULE + '        annotations: {summary: "{{ $labels.x"}\n',
        "rules.yml:6:",
        "template of 'summary'",
    ),
}


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    made = Daemon(tmp_path, LOCAL, RULE)
    yield made
    made.kill()


@pytest.mark.parametrize("kind", BROKEN)
def test_check_names_the_place_and_the_remedy(daemon: Daemon, kind: str) -> None:
    config, rules, place, text = BROKEN[kind]
    daemon.write(config)
    daemon.rules.write_text(rules or RULE)
    done = daemon.command("check", "--config", str(daemon.config))
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert place in line
    assert text in line
    assert "Traceback" not in done.stderr


def test_the_daemon_does_not_start_on_an_unusable_configuration(daemon: Daemon) -> None:
    daemon.write("[nonsense]\n")
    done = daemon.command("run", "--config", str(daemon.config))
    assert done.returncode == 78
    assert "unknown key 'nonsense'" in done.stderr


async def test_a_reload_with_any_of_them_changes_nothing(daemon: Daemon) -> None:
    await daemon.start()
    token = daemon.command("token", "create", "t").stdout.strip()
    await eventually(lambda: daemon.query('ALERTS{alertname="Watched"}'), "the rule fires")
    good = daemon.config.read_text()
    for config, rules, _, text in BROKEN.values():
        daemon.write(config)
        daemon.rules.write_text(rules or RULE)
        answer = await daemon.post("/-/reload", token)
        assert answer.status_code == 400
        assert text in answer.text
        figures = (await daemon.get("/metrics", scope="self")).text
        assert "sentinel_config_last_reload_successful 0.0" in figures
        targets = (await daemon.get("/api/sentinel/v1/targets")).json()
        assert {target["name"] for target in targets} == {"here", "sentinel"}
        assert await daemon.query('ALERTS{alertname="Watched", alertstate="firing"}')
    daemon.config.write_text(good.replace('name = "here"', 'name = "there"'))
    daemon.rules.write_text(RULE)
    daemon.hang_up()
    await eventually(lambda: daemon.query('up{instance="there"} == 1'), "SIGHUP puts a good one in force")
    assert not await daemon.query('up{instance="here"}')


async def test_what_needs_a_restart_is_said(daemon: Daemon) -> None:
    await daemon.start()
    token = daemon.command("token", "create", "t").stdout.strip()
    daemon.config.write_text(daemon.config.read_text().replace('data_dir = "data"', 'data_dir = "elsewhere"'))
    answer = await daemon.post("/-/reload", token)
    assert answer.status_code == 400
    assert "data_dir: changes only with a restart" in answer.text


async def test_writing_needs_a_token(daemon: Daemon) -> None:
    await daemon.start()
    for token in ("", "snt_wrong"):
        assert (await daemon.post("/-/reload", token)).status_code == 401
        answer = await daemon.post("/api/sentinel/v1/incidents/1/acknowledge", token)
        assert answer.status_code == 401


async def test_targets_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with Snmpd() as switch, Sshd(tmp_path / "sshd") as server, Sshd(tmp_path / "other") as stranger:
        config = f"""
[auth.key]
kind = "ssh"
username = "{server.username}"
key = {{file = "{server.private_key_path}"}}
known_hosts = "{server.known_hosts}"
[auth.wrong-key]
kind = "ssh"
username = "{server.username}"
key = {{file = "{stranger.private_key_path}"}}
known_hosts = "{server.known_hosts}"
[auth.wrong-community]
kind = "snmp"
community = "wrong"
""" + "".join(
            f'[[target]]\nname = "{name}"\naddress = "{address}"\nmodules = ["{module}"]\nauth = "{auth}"\n'
            for name, address, module, auth in (
                ("good", server.address, "linux", "key"),
                ("wrong-key", server.address, "linux", "wrong-key"),
                ("stranger", stranger.address, "linux", "key"),
                ("wrong-community", switch.address, "if_mib", "wrong-community"),
                ("nothing", "127.0.0.1:1", "linux", "key"),
            )
        )
        daemon = Daemon(tmp_path, config)
        try:
            await daemon.start()
            await eventually(lambda: _all_polled(daemon), "every target has been polled")
            polls = {
                one["name"]: one["polls"][0] for one in (await daemon.get("/api/sentinel/v1/targets")).json()
            }
        finally:
            daemon.kill()
    assert polls["good"]["state"] == "up"
    assert polls["wrong-key"]["reason"] == "auth"
    assert polls["stranger"]["reason"] == "host_key"
    assert stranger.fingerprint in polls["stranger"]["detail"]
    assert polls["wrong-community"]["reason"] == "timeout"
    assert "community" in polls["wrong-community"]["detail"]
    assert polls["nothing"]["reason"] == "refused"


async def _all_polled(daemon: Daemon) -> bool:
    targets = (await daemon.get("/api/sentinel/v1/targets")).json()
    return all(one["polls"][0]["state"] != "waiting" for one in targets)


@pytest.mark.parametrize("damage", ["truncated", "scribbled", "not a database"])
async def test_a_damaged_database_is_refused(daemon: Daemon, damage: str) -> None:
    await daemon.start()
    assert daemon.stop() == 0
    path = daemon.folder / "data/sentinel.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "scribbled":
        path.write_bytes(content[:8192] + b"\x5a" * 8192 + content[16384:])
    else:
        path.write_bytes(b"hello\n" * 1000)
    for leftover in ("-wal", "-shm"):
        path.with_name(path.name + leftover).unlink(missing_ok=True)
    before = path.read_bytes()
    done = daemon.command("run", "--config", str(daemon.config))
    assert done.returncode == 78
    assert str(path) in done.stderr
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before


async def test_a_second_daemon_on_the_same_database_is_refused(daemon: Daemon) -> None:
    await daemon.start()
    text = daemon.config.read_text().replace(f":{daemon.port}", ":0")
    (daemon.folder / "second.toml").write_text(text)
    done = daemon.command("run", "--config", "second.toml")
    assert done.returncode == 78
    assert "sentinel.db" in done.stderr


async def test_a_taken_port_is_refused(daemon: Daemon) -> None:
    await daemon.start()
    text = daemon.config.read_text().replace('data_dir = "data"', 'data_dir = "data2"')
    (daemon.folder / "second.toml").write_text(text)
    done = daemon.command("run", "--config", "second.toml")
    assert done.returncode == 78
    assert f"cannot listen on 127.0.0.1:{daemon.port}" in done.stderr


def test_init_writes_what_check_accepts(tmp_path: Path) -> None:
    def sentinel(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sentinel", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=60)

    assert sentinel("init", "watch").returncode == 0
    done = sentinel("check", "--config", "watch/config.toml")
    assert done.returncode == 0, done.stderr
    assert "in order" in done.stdout
    again = sentinel("init", "watch")
    assert again.returncode == 1
    assert "already has" in again.stderr
