"""Device text as a terminal would show it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.collect.ssh.prompt.screen import MAX_TEXT, Screen


def _shown(data: bytes) -> tuple[list[str], str]:
    screen = Screen()
    screen.feed(data)
    return screen.lines, screen.last


@pytest.mark.parametrize(
    ("data", "lines", "last"),
    [
        (b"one\r\ntwo\r\nsw#", ["one", "two"], "sw#"),
        (b"--More--\b\b\b\b\b\b\b\b        \b\b\b\b\b\b\b\bnext\r\n", ["next"], ""),
        (b"  ---- More ----\x1b[42D" + b" " * 42 + b"\x1b[42Dvlan 7\r\n", ["vlan 7"], ""),
        (b"wrong\rright\r\n", ["right"], ""),
        (b"a\x1b[1;31mred\x1b[0mb\r\n\x1b]0;title\x07sw#", ["aredb"], "sw#"),
        (b"abc\x1b[2D\x1b[Kx\r\n", ["ax"], ""),
        ("naïve ü\r\n".encode(), ["naïve ü"], ""),
        (b"\xff\xfe\r\n", ["\N{REPLACEMENT CHARACTER}" * 2], ""),
        (b"bell\x07 nul\x00\r\n", ["bell nul"], ""),
    ],
)
def test_what_stands_on_the_screen(data: bytes, lines: list[str], last: str) -> None:
    assert _shown(data) == (lines, last)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_how_bytes_are_cut_into_packets_does_not_matter(pieces: list[bytes]) -> None:
    whole, torn = Screen(), Screen()
    whole.feed(b"".join(pieces))
    for piece in pieces:
        torn.feed(piece)
    assert (whole.lines, whole.last) == (torn.lines, torn.last)


def test_memory_is_bounded() -> None:
    screen = Screen()
    for _ in range(MAX_TEXT // 1000 + 10):
        screen.feed(b"x" * 999 + b"\n")
    assert screen.has_overflowed
    assert screen.lines == []
    screen.clear()
    screen.feed(b"y" * 200_000)
    screen.feed(b"y" * 100)
    assert len(screen.last) <= 300_000
