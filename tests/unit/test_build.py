"""The configuration with all files it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.config.auth import SnmpAuth
from sentinel.model.problem import UnusableError
from sentinel.promql.engine import Engine
from sentinel.reload import Configuration, build
from sentinel.series.head import Head

MODULES = """
auths:
  branch: {community: branch-office, version: 1}
modules:
  m: {walk: [1.3.6.1.2.1.1]}
"""
CONFIG = """
[collect]
collectors = ["snmp.yml"]
[rules]
files = []
[[target]]
name = "switch"
address = "192.0.2.1"
modules = ["m"]
auth = "branch"
"""


def built(folder: Path, config: str) -> Configuration:
    (folder / "snmp.yml").write_text(MODULES)
    (folder / "config.toml").write_text(config)
    return build(folder / "config.toml", Engine(Head()))


def test_targets_name_auths_that_stand_in_a_module_file(tmp_path: Path) -> None:
    auth = built(tmp_path, CONFIG).settings.auth["branch"]
    assert isinstance(auth, SnmpAuth)
    assert (auth.version, auth.community.reveal()) == (1, "branch-office")


def test_an_auth_of_a_module_file_may_not_differ_from_the_configurations(tmp_path: Path) -> None:
    own = '[auth.branch]\nkind = "snmp"\ncommunity = "other"\n'
    with pytest.raises(UnusableError) as caught:
        built(tmp_path, own + CONFIG)
    text = "auth 'branch' is declared differently by [auth.branch]; rename one of them"
    assert [str(problem) for problem in caught.value.problems] == [f"{tmp_path / 'snmp.yml'}:3:3: {text}"]


def test_the_same_auth_in_both_places_is_no_problem(tmp_path: Path) -> None:
    own = '[auth.branch]\nkind = "snmp"\nversion = 1\ncommunity = "branch-office"\n'
    assert set(built(tmp_path, own + CONFIG).settings.auth) == {"branch"}
