"""The reference of `read`: complete, and its example runs."""

from __future__ import annotations

import re

from sentinel.collect.ssh.extract.schema import WrittenMetric, WrittenRead
from sentinel.collect.ssh.modules import parse_modules
from sentinel.collect.ssh.parsers import Shapes
from sentinel.config.yaml import parse_yaml
from tests.servers.debian import ROOT
from tests.unit.ssh.probe_cases import exposition, modules

PAGE = (ROOT / "docs/reference/ssh-modules.md").read_text()
PART = PAGE.partition("## Read texts of your own")[2].partition("\n## ")[0]


def test_every_key_is_there() -> None:
    keys = {*WrittenRead.model_fields, *WrittenMetric.model_fields}
    assert [key for key in sorted(keys) if f"`{key}`" not in PART] == []


def test_the_example_gives_what_it_says() -> None:
    example, text, result = re.findall(r"```\w+\n(.*?)```", PART, re.DOTALL)
    made = parse_modules(parse_yaml(example, "example.yml"))
    (section,) = made["relay_queue"].sections
    assert "sentinel_folder=/srv/relay/queue\n" in section.command
    assert exposition(Shapes().read(section.parser, text.encode(), None)) == result


def test_every_parameter_of_a_probe_is_in_its_how_to() -> None:
    page = (ROOT / "docs/how-to/probe-services.md").read_text()
    params = {
        name
        for module in modules().values()
        for section in module.sections
        for name in re.findall(
            r"^sentinel_(\w+)=", section.command.partition("sentinel_key=")[0], re.MULTILINE
        )
    }
    assert len(params) > 10
    assert [name for name in sorted(params) if f"`{name}`" not in page] == []
