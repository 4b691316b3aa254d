"""Programs that receivers start: real ones, well-behaved and not."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from sentinel.config.receivers import NotifySettings
from sentinel.model.problem import UnusableError
from sentinel.notify.receiver import Result
from tests.integration.services import HOSTILE, Built, built, message, settings


def program(folder: Path, script: str) -> Path:
    path = folder / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def allowed(path: Path) -> NotifySettings:
    return NotifySettings(commands=True, programs=(str(path),))


async def test_it_gets_the_facts_on_its_input_and_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_TOKEN", "canary")
    path = program(
        tmp_path, f'cat > {tmp_path}/in\nenv > {tmp_path}/env\necho "$@" > {tmp_path}/arguments\necho fine'
    )
    one = settings("command", command=[str(path), "$(id)", "; id", "{{ .Title }}"])
    hostile = message(title=HOSTILE + "\n$(id)`id`")
    async with built(one, notify=allowed(path)) as receiver:
        outcome = await receiver.send(hostile)
    assert (outcome.result, outcome.detail) == (Result.DELIVERED, "exit status 0 fine")
    body = json.loads((tmp_path / "in").read_bytes())
    assert (body["version"], body["key"], body["sentinel"]["incident"]) == ("4", "k" * 32, 7)
    environment = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert environment["SENTINEL_EVENT"] == "firing"
    assert "$(id)`id`" in environment["SENTINEL_TITLE"]
    assert "canary" not in (tmp_path / "env").read_text()
    assert set(environment) <= {
        *("PATH", "LANG", "PWD", "_", "SHLVL", "OLDPWD"),
        *(f"SENTINEL_{name}" for name in ("EVENT", "INCIDENT", "GRADE", "TITLE", "TARGET", "URL", "KEY")),
    }
    assert (tmp_path / "arguments").read_text() == "$(id) ; id {{ .Title }}\n"


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("exit 0", Result.DELIVERED),
        ("echo no such siren >&2; exit 65", Result.REFUSED),
        ("exit 1", Result.RETRY),
        ("kill -9 $$", Result.RETRY),
    ],
)
async def test_its_exit_status_is_the_verdict(tmp_path: Path, script: str, result: Result) -> None:
    path = program(tmp_path, script)
    async with built(settings("command", command=[str(path)]), notify=allowed(path)) as receiver:
        outcome = await receiver.send(message())
    assert outcome.result is result
    assert "no such siren" in outcome.detail or "65" not in script


async def _gone(number: int) -> bool:
    async with asyncio.timeout(5):
        while True:
            try:
                state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return True
            if state == "Z":
                return True
            await asyncio.sleep(0.01)


async def _late(receiver: Built) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await receiver.receiver.send(message())


async def test_at_the_deadline_it_ends_with_everything_it_has_started(tmp_path: Path) -> None:
    path = program(tmp_path, f"sleep 300 &\necho $! > {tmp_path}/child\necho $$ > {tmp_path}/self\nsleep 300")
    async with built(settings("command", command=[str(path)]), notify=allowed(path)) as receiver:
        await _late(receiver)
    for name in ("child", "self"):
        assert await _gone(int((tmp_path / name).read_text()))


async def test_what_it_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    path = program(tmp_path, f"sleep 300 > /dev/null 2>&1 &\necho $! > {tmp_path}/child")
    async with built(settings("command", command=[str(path)]), notify=allowed(path)) as receiver:
        assert (await receiver.send(message())).result is Result.DELIVERED
    assert await _gone(int((tmp_path / "child").read_text()))


async def test_one_that_talks_without_end_and_reads_nothing_is_harmless(tmp_path: Path) -> None:
    path = program(
        tmp_path,
        "i=0\nwhile [ $i -lt 3000 ]; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; i=$((i+1)); done",
    )
    full = message(alerts=100, text=HOSTILE)
    async with built(settings("command", command=[str(path)]), notify=allowed(path)) as receiver:
        outcome = await receiver.send(full)
    assert outcome.result is Result.DELIVERED
    assert len(outcome.detail) <= 200


@pytest.mark.parametrize("case", ["off", "not listed", "writable by anybody", "not executable", "not there"])
async def test_what_is_not_allowed_is_not_started(tmp_path: Path, case: str) -> None:
    path = program(tmp_path, f"touch {tmp_path}/started")
    notify = allowed(path)
    if case == "off":
        notify = NotifySettings(commands=False, programs=(str(path),))
    elif case == "not listed":
        notify = NotifySettings(commands=True, programs=("/bin/true",))
    elif case == "writable by anybody":
        path.chmod(0o757)
    elif case == "not executable":
        path.chmod(0o644)
    else:
        os.unlink(path)
    with pytest.raises(UnusableError, match="start"):
        async with built(settings("command", command=[str(path)]), notify=notify):
            raise AssertionError
    assert not (tmp_path / "started").exists()


async def test_a_modem_gets_number_and_text_as_arguments(tmp_path: Path) -> None:
    path = program(tmp_path, f'printf "%s\\n" "$@" >> {tmp_path}/out\ncat >> {tmp_path}/in')
    argv = [str(path), "TEXT", "{number}", "-text", "{text}"]
    one = settings("sms", to=["+8613800138000", "10086"], command=argv)
    async with built(one, notify=allowed(path), language="zh-CN") as receiver:
        outcome = await receiver.send(message(title="核心交换机 $(id) {number} 失联"))
    assert outcome.recipients == {"+8613800138000": "accepted", "10086": "accepted"}
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines[:4] == ["TEXT", "+8613800138000", "-text", "告警 II sw1 核心交换机 $(id) {number} 失联 #7"]
