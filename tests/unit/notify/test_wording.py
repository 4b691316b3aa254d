"""Texts of messages: shipped ones, the operator's own, and bombs."""

from __future__ import annotations

import logging
import time
from zoneinfo import ZoneInfo

import pytest

from sentinel.notify.escape import as_it_is, entities, markdown, markup
from sentinel.notify.story import Teller
from sentinel.notify.texts import Language
from sentinel.notify.wording import SHIPPED, Wording, cut, size_in_bytes
from sentinel.rules.template import parse_template
from tests.integration.services import HOSTILE, facts


def teller(language: Language = "en") -> Teller:
    return Teller("ops", language, ZoneInfo("Asia/Shanghai"))


def own(text: str, kind: str = "apprise", name: str = "body") -> Wording:
    return Wording(kind, teller(), {name: parse_template(text, ("$externalURL",))})


SHIPPED_TEXTS = [(kind, name) for kind, files in SHIPPED.items() for name, file in files.items() if file]


@pytest.mark.parametrize("kind", [kind for kind, files in SHIPPED.items() if any(files.values())])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_shipped_texts_tell_every_event(kind: str, language: Language) -> None:
    wording = Wording(kind, teller(language))
    words = {
        "en": ("FIRING", "ACKNOWLEDGED", "RESOLVED"),
        "zh-CN": ("告警", "已确认", "已恢复"),
    }[language]
    for event, word in zip(("firing", "acknowledged", "resolved"), words, strict=True):
        told = [
            wording.text(name, facts(event), limit=60_000) for name, file in SHIPPED[kind].items() if file
        ]
        assert all(told)
        text = "\n".join(told)
        assert "sw1 is down" in text
        assert word in text
        assert "{{" not in text
        assert "<no value>" not in text


@pytest.mark.parametrize(("kind", "name"), SHIPPED_TEXTS)
@pytest.mark.parametrize("limit", [80, 500, 4096, 60_000])
def test_every_shipped_text_fits_whatever_devices_say(kind: str, name: str, limit: int) -> None:
    wording = Wording(kind, teller("zh-CN"))
    full = facts(alerts=100, title=HOSTILE * 20, text=HOSTILE)
    text = wording.text(name, full, limit=limit, measure=size_in_bytes)
    assert 0 < size_in_bytes(text) <= limit


def test_fewer_alerts_are_told_before_anything_is_cut() -> None:
    text = Wording("apprise", teller()).text("body", facts(alerts=100, text="x"), limit=8000)
    assert "…" not in text
    assert "and 95 more" in text
    assert text.endswith("https://sentinel.example.org/incidents/7")


def test_a_text_of_ones_own_takes_the_place_of_the_shipped_one() -> None:
    wording = own("{{ .Title }}: {{ range .Firing }}{{ .Labels.instance }} {{ end }}")
    assert wording.text("body", facts(alerts=2), limit=100) == "sw1 is down: test test"


LOOP = "{{ range $.Alerts }}" * 4 + "x" + "{{ end }}" * 4


@pytest.mark.parametrize(
    "bomb",
    [
        LOOP,
        '{{ printf "%999999999d" 1 }}',
        '{{ $x := "xxxxxxxxxxxxxxxx" }}' + "{{ $x = print $x $x $x $x $x $x $x $x }}" * 12 + "{{ $x }}",
        '{{ reReplaceAll "(x*)*" "$1$1$1$1$1$1$1$1" "' + "x" * 2000 + '" }}',
        '{{ range .Alerts }}{{ printf "%200s" .Text }}{{ range .Labels }}{{ printf "%200s" . }}{{ end }}{{ end }}',
        "{{ .Alerts.Firing }}",
        '{{ query "up" }}',
        "{{ .Title.__class__.__mro__ }}",
    ],
)
def test_a_bomb_costs_neither_time_nor_the_message(bomb: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    wording, many = own(bomb), facts(alerts=100, text="y" * 200)
    began = time.process_time()
    text = wording.text("body", many, limit=30_000)
    spent = time.process_time() - began
    assert spent < 2.0
    assert 0 < len(text) <= 30_000
    for _ in range(2):
        wording.text("body", many, limit=30_000)
    assert len([one for one in caplog.records if "template fails" in one.message]) <= 1


def test_an_operators_template_reaches_nothing_but_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    for text in ("{{ .__class__ }}", "{{ .Labels.__init__ }}", "{{ .T.__class__ }}"):
        told = own(text).text("body", facts(), limit=1000)
        assert "class" not in told
        assert "function" not in told


@pytest.mark.parametrize("escape", [markdown, entities, markup])
def test_no_word_keeps_a_bracket_that_could_start_markup(escape: object) -> None:
    assert callable(escape)
    told = str(escape(HOSTILE))
    assert "<" not in told
    assert escape is not markdown or "[" not in told
    assert as_it_is(HOSTILE) == HOSTILE


def test_a_cut_never_splits_a_character() -> None:
    assert cut("告警告警", 9, size_in_bytes) == "告警…"
    assert cut("abc", 3) == "abc"
