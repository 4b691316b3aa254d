from __future__ import annotations

import re

import pytest

from sentinel.model.alert import AlertState
from sentinel.model.incident import EntryKind, IncidentState
from sentinel.web.board import TileState
from sentinel.web.rendering import FOLDER, GLYPHS
from sentinel.web.texts import ZH_CN, choose_language, translator

_MARKED = re.compile(r"_\(\"([^\"]+)\"")


def _used() -> set[str]:
    texts = {text for path in FOLDER.rglob("*.html") for text in _MARKED.findall(path.read_text())}
    states = [*TileState, *AlertState, *IncidentState, *EntryKind]
    return texts | {str(state) for state in states}


def test_every_text_has_its_translation() -> None:
    assert _used() - set(ZH_CN) == set()


def test_no_translation_is_left_over() -> None:
    assert set(ZH_CN) - _used() - {"up"} == set()


def test_translations_keep_their_places() -> None:
    places = re.compile(r"%\(\w+\)s")
    assert [text for text, shown in ZH_CN.items() if places.findall(text) != places.findall(shown)] == []


def test_every_state_has_a_shape() -> None:
    assert {str(state) for state in (*TileState, *AlertState)} - set(GLYPHS) == set()


def test_values_are_filled_in() -> None:
    text = "Only the first %(count)s are shown"
    assert translator("en")(text, count=5) == "Only the first 5 are shown"
    assert translator("zh-CN")(text, count=5) == "仅显示前 5 条"


@pytest.mark.parametrize(
    ("asked", "accepted", "default", "chosen"),
    [
        (None, "", "zh-CN", "zh-CN"),
        (None, "zh-TW,en;q=0.8", "en", "zh-CN"),
        (None, "en-GB,zh;q=0.8", "zh-CN", "en"),
        (None, "fr,de", "zh-CN", "zh-CN"),
        (None, "zh;q=x,en;q=0", "en", "en"),
        ("zh-CN", "en", "en", "zh-CN"),
        ("xx", "zh", "en", "zh-CN"),
    ],
)
def test_language(asked: str | None, accepted: str, default: str, chosen: str) -> None:
    assert choose_language(asked, accepted, default) == chosen
