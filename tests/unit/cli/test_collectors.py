"""What `sentinel collectors` tells."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.servers.debian import ROOT
from tests.unit.cli.conftest import Sentinel

LINUX = str(ROOT / "collectors/ssh/linux.yml")

OWN = """\
modules:
  own:
    description: A module of one's own
    sections:
      - name: raid
        parser: uname
        every: 5m
        command: |
          sudo -n /usr/sbin/raidctl --show=all,disks | head -n 5
          cat /proc/version
"""


async def test_modules_are_listed_with_what_they_read(sentinel: Sentinel, tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text(OWN)
    done = await sentinel("collectors", "list", "-f", str(tmp_path / "own.yml"), "--output", "json")
    assert json.loads(done.stdout) == [
        {"name": "local", "kind": "local", "description": "", "sections": 0},
        {"name": "own", "kind": "ssh", "description": "A module of one's own", "sections": 1},
    ]


async def test_modules_come_from_the_configuration(sentinel: Sentinel) -> None:
    done = await sentinel("collectors", "list", "--config", str(ROOT / "config.example.toml"))
    assert {"linux", "if_mib", "local"} <= {line.split()[0] for line in done.stdout.splitlines()}


async def test_every_command_is_shown_as_it_is_run(sentinel: Sentinel, tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text(OWN)
    done = await sentinel("collectors", "show", "own", "-f", str(tmp_path / "own.yml"))
    assert done.stdout == (
        "own: A module of one's own\n\n  raid: every 5m, at most 5s\n"
        "    sudo -n /usr/sbin/raidctl --show=all,disks | head -n 5\n    cat /proc/version\n\n"
    )
    done = await sentinel("collectors", "show", "linux", "-f", LINUX, "--output", "json")
    (shown,) = json.loads(done.stdout)
    assert all(section["command"] and section["timeout"] > 0 for section in shown["sections"])


async def test_the_forced_command_is_a_script_that_shells_can_read(sentinel: Sentinel) -> None:
    done = await sentinel("collectors", "show", "linux", "-f", LINUX, "--restrict", "--user", "watch")
    assert done.stdout.startswith("#!/bin/sh\n")
    assert "~watch/.ssh/authorized_keys" in done.stdout
    subprocess.run(["sh", "-n"], input=done.stdout.encode(), check=True)
    subprocess.run(["bash", "--posix", "-n"], input=done.stdout.encode(), check=True)


async def test_commands_that_need_root_become_sudo_rules(sentinel: Sentinel, tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text(OWN)
    file = str(tmp_path / "own.yml")
    done = await sentinel("collectors", "show", "own", "-f", file, "--restrict", "--output", "json")
    told = json.loads(done.stdout)
    rule = r"sentinel ALL=(root) NOPASSWD: /usr/sbin/raidctl --show\=all\,disks"
    assert told["sudoers"] == [rule]
    assert f"#    {rule}\n" in told["script"]
    assert told["authorized_keys"].startswith('restrict,command="')


async def test_unknown_modules_and_such_without_an_account_are_refused(sentinel: Sentinel) -> None:
    done = await sentinel("collectors", "show", "linx", "-f", LINUX)
    assert (done.exit_code, "did you mean 'linux'" in done.stderr) == (2, True)
    done = await sentinel("collectors", "show", "local", "-f", LINUX, "--restrict")
    assert (done.exit_code, "no account" in done.stderr) == (2, True)
