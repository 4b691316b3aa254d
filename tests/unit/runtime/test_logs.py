"""A log line is one line, whatever a device or a person put into its facts."""

from __future__ import annotations

import logging

from sentinel.runtime.logs import LineFormatter


def line(facts: dict[str, object], *, journal: bool = False, message: str = "target down") -> str:
    record = logging.LogRecord("sentinel.collect", logging.WARNING, "", 0, message, (), None)
    record.facts = facts
    return LineFormatter(journal=journal).format(record)


def test_facts_follow_the_constant_message() -> None:
    assert line({"target": "web1", "seconds": 1.5}).endswith(
        "warning collect: target down target=web1 seconds=1.5"
    )


def test_hostile_facts_stay_one_quoted_line() -> None:
    shown = line({"name": 'evil\n2026 error "x"\x1b[31m', "space": "a b"})
    assert "\n" not in shown
    assert "\x1b" not in shown
    assert shown.endswith('name="evil\\n2026 error \\"x\\"\\u001b[31m" space="a b"')


def test_facts_are_bounded() -> None:
    assert len(line({"text": "x" * 100_000})) < 1200


def test_the_journal_gets_a_priority_and_no_time() -> None:
    assert line({}, journal=True) == "<4>collect: target down"
