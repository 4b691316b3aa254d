"""No answer of a far side brings a secret of ours into the log or the timeline."""

from __future__ import annotations

import pytest

from sentinel.notify.redaction import Redaction

ADDRESS = "https://u5er-name:p4ssword@chat.example.org/hook/T0KEN-in-path?key=T0KEN%20query"
REDACTION = Redaction([ADDRESS, "Bearer b34rer"])


@pytest.mark.parametrize(
    "answer",
    [
        "no route for POST /hook/T0KEN-in-path?key=T0KEN%20query",
        "unknown token T0KEN-in-path",
        "key T0KEN query is not valid",
        "Bearer b34rer is not allowed",
        "b34rer",
        f"{ADDRESS} not found",
        "user u5er-name, p4ssword",
    ],
)
def test_no_part_of_a_secret_is_left(answer: str) -> None:
    shown = REDACTION.of(answer)
    assert not [part for part in ("T0KEN", "b34rer", "u5er", "p4ss") if part in shown]


def test_ordinary_words_stay() -> None:
    assert REDACTION.of("404 page not found, try /help") == "404 page not found, try /help"
