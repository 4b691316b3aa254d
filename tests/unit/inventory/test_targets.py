"""Targets are checked against what they refer to, all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.config.document import validated
from sentinel.config.settings import Settings
from sentinel.config.toml import parse_toml
from sentinel.inventory.targets import Kind, build_targets, read_targets
from sentinel.model.problem import UnusableError
from sentinel.model.target import Target

KINDS: dict[str, Kind] = {"local": "local", "linux": "ssh", "if_mib": "snmp", "http_2xx": "probe"}
AUTH = (
    '[auth.pub]\nkind = "snmp"\n[auth.key]\nkind = "ssh"\nusername = "u"\npassword = "p"\nknown_hosts = "k"\n'
)


def build(text: str, *files: Path) -> tuple[Target, ...]:
    document = parse_toml(AUTH + text, "c")
    settings = validated(Settings, document)
    return build_targets(
        read_targets(settings.target, document, files),
        defaults=settings.collect,
        auths=settings.auth,
        kinds=KINDS,
    )


def problems(text: str, *files: Path) -> list[str]:
    with pytest.raises(UnusableError) as caught:
        build(text, *files)
    return [str(problem) for problem in caught.value.problems]


def target(name: str, more: str = "", modules: str = '["if_mib"]') -> str:
    return f'[[target]]\nname = "{name}"\naddress = "192.0.2.1"\nmodules = {modules}\n{more}\n'


def test_defaults_are_filled_in() -> None:
    (one,) = build('[collect]\ninterval = "5s"\n' + target("a", 'auth = "pub"\nlabels = {site = "n"}\n'))
    assert (one.interval, one.timeout, one.auths, one.criticality) == (5.0, 5.0, ("pub",), 3)
    assert dict(one.source("if_mib").labels) == {"instance": "a", "job": "if_mib", "site": "n"}
    assert one.origin == "c:10"


def test_a_duplicate_target_names_both_places() -> None:
    assert problems(target("a") + target("a")) == ["c:14:9: target 'a' is already declared at c:9"]


def test_what_a_target_refers_to_must_exist() -> None:
    found = problems(target("a", 'auth = ["pub", "kee"]\nparent = "sw1"', modules='["if_mib", "linx"]'))
    assert found == [
        "c:11:23: unknown module 'linx' (did you mean 'linux'?)",
        "c:12:17: unknown auth 'kee' (did you mean 'key'?)",
        "c:13:11: unknown target 'sw1'",
    ]


def test_an_ssh_module_needs_an_ssh_auth() -> None:
    assert "reads over SSH" in problems(target("a", 'auth = "pub"', modules='["linux"]'))[0]


def test_a_timeout_fits_into_the_interval() -> None:
    assert "longer than the interval" in problems(target("a", 'interval = "10s"\ntimeout = "11s"'))[0]


def test_parents_do_not_go_round_in_circles() -> None:
    text = (
        target("a", 'parent = "b"')
        + target("b", 'parent = ["c"]')
        + target("c", 'parent = "a"')
        + target("d")
    )
    (problem,) = problems(text)
    assert "circle" in problem


def test_a_deep_lattice_of_parents_is_checked_at_once() -> None:
    rows = [target("n0_0"), target("n0_1")]
    for level in range(1, 60):
        parents = f'parent = ["n{level - 1}_0", "n{level - 1}_1"]'
        rows += [target(f"n{level}_0", parents), target(f"n{level}_1", parents)]
    assert len(build("".join(rows))) == 120


def test_targets_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "more.toml").write_text(target("b"))
    assert [one.name for one in build(target("a"), tmp_path / "more.toml")] == ["a", "b"]


def test_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    for name, text in (("x.toml", "["), ("y.toml", '[[target]]\nnam = "y"')):
        (tmp_path / name).write_text(text)
    found = problems(target("a"), tmp_path / "x.toml", tmp_path / "y.toml", tmp_path / "z.toml")
    assert any("x.toml:1:2: not TOML" in one for one in found)
    assert any("y.toml:2:1: unknown key 'nam'" in one for one in found)
    assert any("z.toml: cannot be read" in one for one in found)


def test_a_url_is_for_probes() -> None:
    text = '[[target]]\nname = "a"\naddress = "https://a.example.org:8443/x?y=z"\nmodules = ["{}"]\n'
    (one,) = build(text.format("http_2xx"))
    assert (one.host, one.port, one.url) == ("a.example.org", 8443, "https://a.example.org:8443/x?y=z")
    assert problems(text.format("if_mib")) == [
        "c:10:12: address: a URL is for probe modules, and 'if_mib' is none: write HOST or HOST:PORT"
    ]
