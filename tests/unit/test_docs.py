"""The documentation leads to what exists, and what exists is in it."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import typer
from typer.core import TyperGroup

from sentinel.cli.main import app
from sentinel.config.notify import ReceiverSettings
from sentinel.config.yaml import parse_yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
_LINK = re.compile(r"(?<!\\)\]\(([^)\s]+)\)")
_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")


def _links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_CODE.sub("", page.read_text())):
        if not _SCHEME.match(link):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for link in _links(page):
        path, _, heading = link.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        assert file.exists(), f"{page.relative_to(ROOT)}: {link}: there is no such file"
        assert not heading or heading in _anchors(file), f"{page.relative_to(ROOT)}: {link}: no such heading"


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them: small letters, blanks as hyphens, no punctuation."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            yield from _commands(below, (*words, name))
        if not command.invoke_without_command or len(words) == 1:
            return
    yield " ".join(words)


def test_every_command_is_in_the_reference() -> None:
    page = (DOCS / "reference/commands.md").read_text()
    commands = set(_commands(typer.main.get_command(app), ("sentinel",)))
    assert "sentinel db backup" in commands
    assert {each for each in commands if not re.search(rf"`{each}[` ]", page)} == set()


def test_every_kind_of_receiver_is_in_the_reference() -> None:
    page = (DOCS / "reference/receivers.md").read_text()
    union = typing.get_args(ReceiverSettings)[0]
    kinds = [typing.get_args(model.model_fields["kind"].annotation)[0] for model in typing.get_args(union)]
    assert {"webhook", "email"} <= set(kinds)
    assert [kind for kind in kinds if f'kind = "{kind}"' not in page] == []


@pytest.mark.parametrize(("kind", "folder"), [("snmp", "snmp"), ("ssh", "ssh"), ("probe", "probes")])
def test_every_shipped_module_is_in_the_reference(kind: str, folder: str) -> None:
    page = (DOCS / f"reference/{kind}-modules.md").read_text()
    files = sorted((ROOT / "collectors" / folder).glob("**/*.yml"))
    modules = [name for file in files for name in parse_yaml(file.read_text(), str(file)).data["modules"]]
    assert modules
    assert [name for name in modules if f"`{name}`" not in page] == []


def test_every_folder_of_modules_has_a_reference() -> None:
    folders = {
        file.relative_to(ROOT / "collectors").parts[0] for file in (ROOT / "collectors").rglob("*.yml")
    }
    assert folders == {"probes", "snmp", "ssh"}


def test_the_table_of_contents_names_every_page() -> None:
    named = {(DOCS / link).resolve() for link in _links(DOCS / "README.md")}
    pages = {page for page in DOCS.rglob("*.md") if page != DOCS / "README.md"}
    assert sorted(str(page.relative_to(DOCS)) for page in pages - named) == []


def test_every_picture_is_shown_somewhere() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in _links(page)}
    assert set(DOCS.rglob("*.png")) - shown == set()
