from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sentinel.model.alert import AlertState
from sentinel.model.incident import Grade, IncidentState
from tests.unit.cli.conftest import Sentinel
from tests.unit.web.fakes import TOKEN, Rooms, alert, incident, poll, vector


async def test_targets_as_table_and_as_json(sentinel: Sentinel, url: str, rooms: Rooms) -> None:
    rooms.fleet.polls = [
        poll("web1", labels={"site": "a"}),
        poll("sw1", "if_mib", up=False, detail="no answer"),
    ]
    table = await sentinel("targets", "--url", url)
    assert table.exit_code == 0
    assert "web1" in table.stdout
    assert "timeout: no answer" in table.stdout
    found = json.loads((await sentinel("targets", "--down", "--output", "json", "--url", url)).stdout)
    assert [target["name"] for target in found] == ["sw1"]
    assert found[0]["polls"][0]["reason"] == "timeout"


async def test_alerts_by_state(sentinel: Sentinel, url: str, rooms: Rooms) -> None:
    rooms.alerts.alerts = [alert("A", "x"), alert("B", "x", state=AlertState.UNKNOWN)]
    told = await sentinel("alerts", "--state", "unknown", "--output", "json", "--url", url)
    assert [one["name"] for one in json.loads(told.stdout)] == ["B"]
    assert (await sentinel("alerts", "--state", "sleepy", "--url", url)).exit_code == 2


async def test_incidents_from_list_to_resolved(
    sentinel: Sentinel, url: str, rooms: Rooms, tmp_path: Path
) -> None:
    rooms.incidents.stories = {1: incident(1, Grade.II), 2: incident(2, state=IncidentState.RESOLVED)}
    assert "Something is wrong" in (await sentinel("incidents", SENTINEL_URL=url)).stdout
    told = await sentinel("incidents", "list", "--state", "resolved", "-o", "json", "--url", url)
    assert [one["id"] for one in json.loads(told.stdout)] == [2]
    told = await sentinel("incidents", "--state", "resolved", "--limit", "9", "-o", "json", "--url", url)
    assert [one["id"] for one in json.loads(told.stdout)] == [2]
    told = await sentinel("incidents", "--state", "acknowledged", "--url", url)
    assert told.stdout == "no such incidents\n"
    assert "webhook duty" in (await sentinel("incidents", "show", "1", "--url", url)).stdout
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    taken = await sentinel("incidents", "ack", "1", "-n", "mine", "--url", url, "--token-file", str(token))
    assert taken.stdout == "incident 1 acknowledged by li.wei\n"
    noted = await sentinel("incidents", "note", "1", "cable", "--url", url, SENTINEL_TOKEN=TOKEN)
    assert noted.exit_code == 0
    done = await sentinel("incidents", "resolve", "1", "--url", url, SENTINEL_TOKEN=TOKEN)
    assert done.stdout == "incident 1 resolved by li.wei\n"
    assert [entry.text for entry in rooms.incidents.stories[1].entries[-3:]] == ["mine", "cable", ""]
    again = await sentinel("incidents", "ack", "1", "--url", url, SENTINEL_TOKEN=TOKEN)
    assert (again.exit_code, again.stderr) == (1, "sentinel: incident 1 is already resolved\n")


async def test_query_tells_values_and_whether_there_are_any(
    sentinel: Sentinel, url: str, rooms: Rooms
) -> None:
    rooms.expressions.answers |= {
        "up": vector(({"__name__": "up", "instance": "web1"}, 1.0)),
        "absent": vector(),
        "1+1": 2.0,
        "ramp": 0.0,
    }
    found = await sentinel("query", "up", "--url", url)
    assert found.exit_code == 0
    assert 'up{instance="web1"}' in found.stdout
    assert (await sentinel("query", "1+1", "--url", url)).stdout == "2\n"
    assert (await sentinel("query", "absent", "--url", url)).exit_code == 1
    wrong = await sentinel("query", "up{", "--url", url)
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith('sentinel: invalid parameter "query": 1:4: parse error')
    ranged = await sentinel("query", "ramp", "--range", "5m", "-o", "json", "--url", url)
    assert len(json.loads(ranged.stdout)["result"][0]["values"]) == 6
    assert (await sentinel("query", "ramp", "--range", "soon", "--url", url)).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["targets", "--url", "http://127.0.0.1:9"], 1, "cannot reach the daemon at http://127.0.0.1:9"),
        (["targets", "--url", "nowhere"], 2, "not an address: nowhere"),
        (["incidents", "ack", "1", "--url", "http://127.0.0.1:9"], 2, "this needs an operator token"),
        (["incidents", "ack", "1", "--token-file", "/nowhere"], 78, "cannot read the token file /nowhere"),
    ],
)
async def test_what_cannot_work_is_one_clear_line(
    sentinel: Sentinel, arguments: list[str], code: int, text: str
) -> None:
    told = await sentinel(*arguments)
    assert told.exit_code == code
    assert told.stderr.startswith(f"sentinel: {text}")
    assert told.stderr.count("\n") == 1
    assert told.stdout == ""


async def test_a_refused_token_says_so(sentinel: Sentinel, url: str, rooms: Rooms) -> None:
    rooms.incidents.stories[1] = incident(1)
    told = await sentinel("incidents", "ack", "1", "--url", url, SENTINEL_TOKEN="wrong")
    assert (told.exit_code, told.stderr) == (
        1,
        "sentinel: the daemon refused the token: the token is not valid\n",
    )


async def test_control_characters_of_devices_do_not_reach_the_terminal(
    sentinel: Sentinel, url: str, rooms: Rooms
) -> None:
    evil = "\x1b[2J\x1b]0;owned\x07[bold]x"
    rooms.fleet.polls = [poll("web1", up=False, detail=evil)]
    rooms.incidents.stories[1] = incident(1, title=evil)
    for arguments in (["targets"], ["incidents"], ["incidents", "show", "1"]):
        told = await sentinel(*arguments, "--url", url)
        assert "\x1b" not in told.stdout
        assert "\x07" not in told.stdout
        assert "[bold]x" in told.stdout


@pytest.mark.parametrize("arguments", [["--bogus"], ["nonsense"], ["query"], ["incidents", "show", "x"]])
async def test_wrong_usage_is_2(sentinel: Sentinel, arguments: list[str]) -> None:
    assert (await sentinel(*arguments)).exit_code == 2


async def test_wrong_usage_is_told_in_plain_unbroken_lines(sentinel: Sentinel) -> None:
    told = await sentinel("alerts", "--state", "sleepy")
    assert told.stderr.isascii()
    assert "--state" in (last := told.stderr.splitlines()[-1])
    assert last.endswith("'sleepy' is not one of 'pending', 'firing', 'unknown'.")


async def test_a_piped_table_has_whole_lines_without_trailing_blanks(
    sentinel: Sentinel, url: str, rooms: Rooms
) -> None:
    detail = "no answer " * 50 + "at all"
    rooms.fleet.polls = [poll("web1"), poll("sw1", up=False, detail=detail)]
    lines = (await sentinel("targets", "--url", url)).stdout.splitlines()
    assert len(lines) == 3
    assert lines[2].endswith(detail)
    assert lines == [line.rstrip() for line in lines]


async def test_version_and_help(sentinel: Sentinel) -> None:
    assert (await sentinel("--version")).stdout.startswith("sentinel ")
    told = (await sentinel("--help")).stdout
    for command in ("run", "check", "query", "targets", "alerts", "incidents", "token"):
        assert command in told


def test_help_loads_no_heavy_library() -> None:
    code = "import sys, sentinel.cli.main; print(*sorted(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"sqlalchemy", "fastapi", "asyncssh", "httpx", "uvicorn"} & set(loaded)
