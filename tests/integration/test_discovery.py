"""`sentinel discover` against real agents on several loopback addresses."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sentinel.config.document import validated
from sentinel.config.toml import parse_toml
from sentinel.inventory.targets import TargetFile
from tests.servers.debian import ROOT, free_port
from tests.servers.snmpd import Snmpd

NETWORK = "127.77.0.0/28"
CONFIG = f"""
[collect]
collectors = ["{ROOT}/collectors/snmp/*.yml"]
[rules]
files = []
[discovery]
files = ["targets/*.toml"]
[auth.other]
kind = "snmp"
community = "something-else"
[auth.right]
kind = "snmp"
community = "public"
[auth.key]
kind = "ssh"
username = "x"
password = "y"
[[target]]
name = "core"
address = "127.77.0.9:PORT"
modules = ["system"]
auth = "right"
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Agents at 127.77.0.3, .5 and .9, all on this port."""
    number = free_port(socket.SOCK_DGRAM)
    names = {3: "dist1.example.org", 5: 'x"]\n[auth.public]\nkind = "snmp" ../$(reboot)', 9: "core"}
    with ExitStack() as stack:
        for last, name in names.items():
            line = name.replace("\n", " ")
            stack.enter_context(Snmpd(host=f"127.77.0.{last}", port=number, name=line))
        yield number


@pytest.fixture
def folder(tmp_path: Path, port: int) -> Path:
    (tmp_path / "targets").mkdir()
    (tmp_path / "config.toml").write_text(CONFIG.replace("PORT", str(port)))
    return tmp_path


def discover(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sentinel", "discover", "--config", str(folder / "config.toml"), *words],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=100,
        check=False,
    )


def test_devices_are_found_with_the_auth_that_they_answer(folder: Path, port: int) -> None:
    done = discover(folder, NETWORK, "--port", str(port), "--timeout", "0.6", "-o", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["host"] for row in rows] == ["127.77.0.3", "127.77.0.5", "127.77.0.9"]
    assert {row["auth"] for row in rows} == {"right"}
    assert [row["state"] for row in rows] == ["new", "new", "known"]
    assert rows[0]["target"] == "dist1.example.org"
    assert rows[0]["object_id"].startswith("1.3.6.1.4.1.8072.")
    assert rows[0]["modules"][:2] == ["system", "if_mib"]
    assert rows[2]["target"] == "core"


def test_what_is_new_is_added_and_what_is_there_stays(folder: Path, port: int) -> None:
    file = folder / "targets" / "found.toml"
    by_hand = f'# mine\n[[target]]\nname = "dist"\naddress = "127.77.0.3:{port}"\nmodules = ["system"]\n'
    file.write_text(by_hand)
    words = (NETWORK, "--port", str(port), "--timeout", "0.6", "--auth", "right", "--write", str(file))
    dry = discover(folder, *words, "--dry-run")
    assert "would add 1 targets" in dry.stderr
    assert file.read_text() == by_hand
    done = discover(folder, *words)
    assert done.returncode == 0, done.stderr
    text = file.read_text()
    assert text.startswith(by_hand)
    targets = validated(TargetFile, parse_toml(text, "found")).target
    assert [(one.name, one.address) for one in targets] == [
        ("dist", f"127.77.0.3:{port}"),
        ("x-auth.public-kind-snmp-..-reboot", f"127.77.0.5:{port}"),
    ]
    check = subprocess.run(
        [sys.executable, "-m", "sentinel", "check", "--config", str(folder / "config.toml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stderr
    again = discover(folder, *words)
    assert again.returncode == 0
    assert "nothing new" in again.stderr
    assert file.read_text() == text


def test_the_rate_is_kept(folder: Path, port: int) -> None:
    began = time.monotonic()
    done = discover(
        folder, "127.78.0.0/26", "--port", str(port), "--rate", "20", "--timeout", "0.2", "--auth", "right"
    )
    assert time.monotonic() - began > 62 / 20 - 0.2
    assert (done.returncode, done.stdout.strip()) == (1, "nobody answers")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("10.0.0.0/15",), "--yes"),
        (("10.0.0.0/8", "--yes"), "too many"),
        (("10.0.0",), "not a network"),
        (("127.0.0.1", "--auth", "rigt"), "did you mean 'right'?"),
        (("127.0.0.1", "--auth", "key"), "unknown SNMP auth"),
        (("2001:db8::/64",), "too many"),
    ],
)
def test_wrong_usage_is_2_and_asks_nobody(folder: Path, words: tuple[str, ...], text: str) -> None:
    done = discover(folder, *words)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_target_file_that_does_not_parse_is_left_alone(folder: Path, port: int) -> None:
    file = folder / "mine.toml"
    file.write_text("[daemon]\n")
    done = discover(folder, "127.77.0.3", "--port", str(port), "--auth", "right", "--write", str(file))
    assert done.returncode == 78
    assert "unknown key 'daemon'" in done.stderr
    assert file.read_text() == "[daemon]\n"
