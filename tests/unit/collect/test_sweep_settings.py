"""What can be wrong with sweeps is told where it stands, before anything is asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sentinel.collect.discovery.calendar import is_named
from sentinel.collect.discovery.candidates import candidates_of
from sentinel.collect.discovery.sweep import Found
from sentinel.collect.modules import Modules
from sentinel.model.problem import UnusableError
from sentinel.promql.engine import Engine
from sentinel.reload import Configuration, build
from sentinel.series.head import Head

HEAD = """\
[collect]
collectors = []
[rules]
files = []
[auth.right]
kind = "snmp"
[auth.key]
kind = "ssh"
username = "x"
password = "y"
[discovery]
files = ["targets/*.toml"]
"""
SWEEP = '[[discovery.sweeps]]\nnetworks = ["192.0.2.0/24"]\nfile = "targets/a.toml"\nauth = "right"\n'


def built(folder: Path, sweeps: str) -> Configuration:
    (folder / "targets").mkdir(exist_ok=True)
    (folder / "config.toml").write_text(HEAD + sweeps)
    return build(folder / "config.toml", Engine(Head()))


def problems(folder: Path, sweeps: str) -> list[str]:
    with pytest.raises(UnusableError) as caught:
        built(folder, sweeps)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_a_sweep_is_accepted_before_its_file_exists(tmp_path: Path) -> None:
    (sweep,) = built(tmp_path, SWEEP).settings.discovery.sweeps
    assert (sweep.auth, sweep.at, sweep.rate) == (("right",), ("04:00",), 20)
    (tmp_path / "config.toml").write_text(
        HEAD.replace("targets/*.toml", "one.toml") + SWEEP.replace("targets/a", "one")
    )
    assert build(tmp_path / "config.toml", Engine(Head())).targets == ()


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('"right"', '"rigt"', "config.toml:16:9: unknown SNMP auth 'rigt' (did you mean 'right'?)"),
        ('"right"', '["right", "key"]', "config.toml:16:19: unknown SNMP auth 'key'"),
        ('auth = "right"', "", "config.toml:13:3: 'auth' is missing"),
        (
            "192.0.2.0/24",
            "10.0.0.0/8",
            "config.toml:14:12: 16777216 addresses are too many for one sweep (at most 65536)",
        ),
        ("192.0.2.0/24", "2001:db8::/64", "config.toml:14:12: 18446744073709551616 addresses are too many"),
        ("192.0.2.0/24", "192.0.2.1/24", "config.toml:14:14: not a network: '192.0.2.1/24'"),
        ('/24"', '/24", "192.0.2.64/26"', "config.toml:14:30: 192.0.2.64/26 overlaps 192.0.2.0/24 (line 14)"),
        (
            "targets/a.toml",
            "elsewhere.toml",
            "config.toml:15:9: [discovery] files does not name 'elsewhere.toml'",
        ),
        ("targets/a.toml", "targets/.a.toml", "config.toml:15:9: [discovery] files does not name"),
        ("targets/a.toml", "targets/a.json", "config.toml:15:9: a target file ends in .toml"),
        ("targets/a.toml", "config.toml", "config.toml:15:9: this is the configuration itself"),
        ("targets/a.toml", "../gone/a.toml", "config.toml:15:9: there is no folder"),
        ("targets/a.toml", "targets/folder.toml", "config.toml:15:9: this is no file"),
        ('auth = "right"', 'auth = "right"\nat = "24:00"', "config.toml:17:7: "),
        ('auth = "right"', 'auth = "right"\ndays = ["monday"]', "config.toml:17:10: "),
        ('auth = "right"', 'auth = "right"\nrate = 100000', "config.toml:17:8: "),
    ],
)
def test_a_wrong_key_is_told_where_it_stands(tmp_path: Path, before: str, after: str, problem: str) -> None:
    if "folder.toml" in after:
        (tmp_path / "targets/folder.toml").mkdir(parents=True)
    found = problems(tmp_path, SWEEP.replace(before, after))
    assert any(one.startswith(problem) for one in found), found


def test_two_sweeps_share_neither_a_file_nor_addresses(tmp_path: Path) -> None:
    other = SWEEP.replace("192.0.2.0/24", "192.0.2.128/25").replace(
        "targets/a.toml", "targets/../targets/a.toml"
    )
    assert problems(tmp_path, SWEEP + other) == [
        "config.toml:18:14: 192.0.2.128/25 overlaps 192.0.2.0/24 (line 14): its addresses would be asked twice",
        "config.toml:19:9: the sweep in line 13 writes to this file: give each its own".replace(
            "line 13", "line 15"
        ),
    ]
    built(tmp_path, SWEEP + other.replace("targets/../targets/a", "targets/b") + "port = 1161\n")


def test_a_folder_that_takes_no_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    assert problems(tmp_path, SWEEP) == [f"config.toml:15:9: the daemon may not write to {tmp_path}/targets"]


@pytest.mark.parametrize(
    ("pattern", "path", "names"),
    [
        ("/c/targets/*.toml", "/c/targets/a.toml", True),
        ("/c/targets/*.toml", "/c/targets/b/a.toml", False),
        ("/c/**/*.toml", "/c/targets/b/a.toml", True),
        ("/c/**/*.toml", "/c/a.toml", True),
        ("/c/**/*.toml", "/c/.git/a.toml", False),
        ("/c/targets/[ab].toml", "/c/targets/b.toml", True),
        ("/c/targets/?.toml", "/c/targets/../targets/x.toml", True),
        ("/c/a.toml", "/c/A.toml", False),
        ("/c/targets", "/c/targets/a.toml", False),
    ],
)
def test_patterns_name_what_glob_would_find(pattern: str, path: str, names: bool) -> None:
    assert is_named(pattern, Path(path)) is names


def found(host: str, name: str = "", same_as: str = "") -> Found:
    return Found(host, 161, "right", name, "", "1.3.6.1.4.1.9", engine="80", same_as=same_as)


def test_a_device_that_is_a_target_at_any_of_its_addresses_is_not_added_at_another() -> None:
    answers = [
        found("192.0.2.1", "r1"),
        found("192.0.2.2", "r1", same_as="192.0.2.1"),
        found("192.0.2.3", "r1"),
    ]
    places = {("192.0.2.2", 161): "router"}
    states = [(one.state, one.target) for one in candidates_of(answers, places, ["router", "r1"], Modules())]
    assert states == [("same device", "router"), ("known", "router"), ("new", "r1-2")]
