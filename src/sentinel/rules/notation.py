"""The notation of series in unit tests: `up{job="a"}`, `{"http.requests"}` and `0+10x100 _ stale`.

Source: Prometheus documentation, "Unit testing for rules".
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.model.batch import STALE
from sentinel.model.labels import METRIC_NAME, Labels

MAX_SAMPLES = 1_000_000

_NAME = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*")
_TEXT = r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)"""
_PAIR = re.compile(rf"\s*(?:([a-zA-Z_][a-zA-Z0-9_]*)|{_TEXT})\s*=\s*{_TEXT}\s*(,|(?=\}}))", re.DOTALL)
_QUOTED_NAME = re.compile(rf"\s*{_TEXT}\s*(,|(?=\}}))", re.DOTALL)
# No hexadecimal numbers: 0x10 is ten more zeros.
_DIGITS = r"(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF]|[nN][aA][nN])"
_ITEM = re.compile(
    rf"""(?P<gap>_)(?:x(?P<gaps>\d+))?
    |(?P<stale>stale)
    |(?P<start>[+-]?{_DIGITS})(?P<by>[+-]{_DIGITS})?(?:x(?P<count>\d+))?""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}


def parse_series(text: str) -> Labels:
    """Labels of a series as people write it.

    Raises:
        ValueError: not a series.
    """
    start = _NAME.match(text)
    assert start is not None
    labels = {METRIC_NAME: start[1]} if start[1] else {}
    rest = text[start.end() :].strip()
    if not rest and labels:
        return Labels(labels)
    if not rest.startswith("{") or not rest.endswith("}"):
        raise ValueError(f"not a series: {text!r}")
    position = 1
    quoted = _QUOTED_NAME.match(rest, position)
    if quoted is not None and not labels:
        labels[METRIC_NAME] = _unquoted(quoted[1])
        position = quoted.end()
    while rest[position:].strip() != "}":
        pair = _PAIR.match(rest, position)
        if pair is None:
            raise ValueError(f"not a series: {text!r} (near {rest[position : position + 20]!r})")
        name = pair[1] or _unquoted(pair[2])
        if name in labels:
            raise ValueError(f"label {name} is given twice in {text!r}")
        labels[name] = _unquoted(pair[3])
        position = pair.end()
    return Labels(labels)


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text[1:-1], flags=re.DOTALL)


def parse_values(text: str) -> list[float | None]:
    """Samples one interval apart; None where there is none, STALE where the series ends.

    Raises:
        ValueError: not in the notation, or native histograms, which are not supported here.
    """
    values: list[float | None] = []
    for word in text.split():
        values.extend(_expanded(word))
        if len(values) > MAX_SAMPLES:
            raise ValueError(f"more than {MAX_SAMPLES} samples")
    return values


def _expanded(word: str) -> Iterator[float | None]:
    match = _ITEM.fullmatch(word)
    if match is None:
        hint = " (native histograms are not supported here)" if "{{" in word else ""
        raise ValueError(f"not in the notation of series: {word!r}{hint}")
    count = min(int(match["count"] or match["gaps"] or 0), MAX_SAMPLES + 1)
    if match["gap"]:
        yield from [None] * (count or (0 if match["gaps"] else 1))
    elif match["stale"]:
        yield STALE
    elif match["by"] and match["count"] is None:
        raise ValueError(f"how often? write {word}x10")
    else:
        value, by = float(match["start"]), float(match["by"] or "0")
        for _ in range(count + 1):
            yield value
            value += by
