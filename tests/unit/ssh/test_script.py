"""Cutting one poll's output into replies."""

from __future__ import annotations

import pytest

from sentinel.collect.ssh.script import Replies, command_line, function, script, shell_input

OUTPUT = b"banner\nm begin\nfirst\n\nm 0\nno newline\nm 127\n"


@pytest.mark.parametrize("step", [1, 2, 7, len(OUTPUT)])
def test_replies_are_found_however_the_output_is_cut(step: int) -> None:
    replies = Replies("m", 2)
    for start in range(0, len(OUTPUT), step):
        replies.feed(OUTPUT[start : start + step], at=float(start))
    assert replies.is_complete
    assert [(reply.output, reply.status) for reply in replies.done] == [(b"first\n", 0), (b"no newline", 127)]


def test_a_mark_in_the_middle_of_a_line_is_text() -> None:
    replies = Replies("m", 1)
    replies.feed(b"m begin\nsay m 0\n\nm 1\n", at=0)
    assert [(reply.output, reply.status) for reply in replies.done] == [(b"say m 0\n", 1)]


def test_too_much_output_stops_the_reading() -> None:
    replies = Replies("m", 1, limit=1000)
    assert replies.feed(b"m begin\n", at=0)
    assert not replies.feed(b"x" * 900, at=0)
    assert replies.feed(b"x" * 900, at=0)
    assert replies.has_overflowed
    assert not replies.feed(b"x" * 900, at=0)


def test_chatter_before_the_mark_is_not_kept() -> None:
    replies = Replies("m", 1, limit=1000)
    for _ in range(100):
        replies.feed(b"welcome " * 100, at=0)
    assert not replies.has_overflowed


def test_the_script_is_the_same_text_whatever_the_mark() -> None:
    text = script([("stat", "cat /proc/stat")])
    assert shell_input("aa", text).replace(b"aa", b"bb") == shell_input("bb", text)
    assert "read -r sentinel_mark" in command_line(text)


def test_a_command_is_sent_once_per_shell() -> None:
    name = function("stat", "cat /proc/stat")
    first, later = (script([("stat", "cat /proc/stat")], defined) for defined in ((), {name}))
    assert "cat /proc/stat" in first
    assert later == f"sentinel_begin\nsentinel_run {name}\n"


def test_functions_of_one_name_with_other_commands_are_told_apart() -> None:
    assert function("stat", "cat /proc/stat") != function("stat", "cat /proc/stat2")
