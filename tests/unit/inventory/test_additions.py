"""What is added to a target file cannot become anything but targets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.config.document import validated
from sentinel.config.toml import parse_toml
from sentinel.inventory.additions import Addition, replace_file, safe_name, with_additions
from sentinel.inventory.targets import TargetFile

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)


@given(said=TEXTS, remark=TEXTS)
def test_whatever_a_device_says_becomes_one_target_and_a_comment(said: str, remark: str) -> None:
    name = safe_name(said, "192.0.2.1", ())
    one = Addition(name, "192.0.2.1", ("system",), "public", remark)
    (target,) = validated(TargetFile, parse_toml(with_additions("", [one]), "new")).target
    assert (target.name, target.address, target.modules) == (name, "192.0.2.1", ("system",))


@pytest.mark.parametrize(
    ("said", "taken", "name"),
    [
        ("sw1.example.org", (), "sw1.example.org"),
        ("sw1", ("sw1",), "sw1-2"),
        ("sw1", ("sw1", "sw1-2"), "sw1-3"),
        ("", (), "192.0.2.1"),
        ("../../etc/passwd", (), "etc-passwd"),
        ("-oProxyCommand=x", (), "oProxyCommand-x"),
        ("核心交换机", (), "192.0.2.1"),
        ("a" * 500, (), "a" * 63),
    ],
)
def test_names_are_plain_bounded_and_unique(said: str, taken: tuple[str, ...], name: str) -> None:
    assert safe_name(said, "192.0.2.1", taken) == name


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "found.toml"
    file.write_text("old")
    file.chmod(0o640)
    replace_file(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o640)
    assert [path.name for path in tmp_path.iterdir()] == ["found.toml"]
