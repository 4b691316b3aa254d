"""The fast way through a text gives what the slow way gives, and notices when it may not be taken."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.collect.ssh.parsers import Shapes
from tests.servers.debian import ROOT
from tests.unit.ssh.reading import figures, read

PROC = (ROOT / "collectors/cases/linux-debian/proc.txt").read_bytes()
MEMORY = "==> /proc/meminfo <==\nMemTotal:  {} kB\nHugePages_Total: {}\n"


def test_a_text_with_other_numbers_is_read_without_learning_again() -> None:
    shapes = Shapes()
    first = read("proc", MEMORY.format(1000, 7), shapes=shapes)
    second = read("proc", MEMORY.format("   23", 123456), shapes=shapes, last=first.shape)
    assert second.shape is first.shape
    assert figures(second) == {"node_memory_MemTotal_bytes": 23 * 1024, "node_memory_HugePages_Total": 123456}


def test_hosts_with_texts_of_the_same_form_share_a_shape() -> None:
    shapes = Shapes()
    assert (
        read("proc", MEMORY.format(1, 2), shapes=shapes).shape
        is read("proc", MEMORY.format(3, 4), shapes=shapes).shape
    )


def test_a_digit_in_a_name_is_no_number() -> None:
    shapes = Shapes()
    text = "==> /proc/diskstats <==\n 8 0 sd{} 1 2 3 4 5 6 7 8 9 10 11\n"
    first = read("proc", text.format("a1x"), shapes=shapes)
    second = read("proc", text.format("a2x"), shapes=shapes, last=first.shape)
    assert second.shape is not first.shape
    assert {labels.get("device") for labels in second.shape.series} == {"sda2x"}


def test_numbers_that_move_to_another_line_are_noticed() -> None:
    shapes = Shapes()
    first = read("proc", "==> /proc/net/snmp6 <==\nUdp6NoPorts 1\nUdp6InErrors 22\n", shapes=shapes)
    second = read(
        "proc", "==> /proc/net/snmp6 <==\nUdp6NoPorts 1 2\nUdp6InErrors\n", shapes=shapes, last=first.shape
    )
    assert second.shape is not first.shape


def test_decimals_are_exact() -> None:
    shapes = Shapes()
    text = "==> /proc/loadavg <==\n{} {} {} 1/234 {}\n"
    first = read("proc", text.format("0.05", "0.10", "0.09", 1), shapes=shapes)
    second = read("proc", text.format("12.34", "1.1", "100.00", 99999), shapes=shapes, last=first.shape)
    assert second.shape is first.shape
    assert figures(second) == {"node_load1": 12.34, "node_load5": 1.1, "node_load15": 100.0}


def test_a_negative_number_keeps_its_sign() -> None:
    part = read("proc", "==> /sys/class/net/tun0/speed <==\n-1\n")
    assert figures(part) == {'node_network_speed_bytes{device="tun0"}': -125000.0}


def test_numbers_beyond_64_bits_are_left_out() -> None:
    text = f"==> /proc/meminfo <==\nMemTotal: {'9' * 40} kB\nMemFree: 18446744073709551 kB\n"
    assert figures(read("proc", text)) == {"node_memory_MemFree_bytes": 18446744073709551 * 1024.0}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_fast_way_equals_the_slow_way_for_any_numbers(seed: int) -> None:
    chance = random.Random(seed)

    def other(match: re.Match[bytes]) -> bytes:
        return b" %d" % chance.randrange(10 ** chance.randrange(1, 18))

    text = re.sub(rb" +\d+(?=[ \n])", other, PROC)
    shapes = Shapes()
    learned = read("proc", PROC, shapes=shapes)
    assert figures(read("proc", text, shapes=shapes, last=learned.shape)) == figures(read("proc", text))


@settings(max_examples=200, deadline=None)
@given(text=st.binary(max_size=300), parser=st.sampled_from(["proc", "filesystem", "uname", "systemd"]))
def test_no_text_breaks_a_parser(text: bytes, parser: str) -> None:
    for data in (
        text,
        b"==> /proc/stat <==\n" + text,
        b"==> /proc/net/dev <==\n" + text,
        b"==> df <==\n" + text,
    ):
        read(parser, data)


@pytest.mark.parametrize("parser", ["proc", "filesystem", "filesystem_remote", "uname", "systemd"])
def test_an_empty_text_gives_nothing(parser: str) -> None:
    assert not len(read(parser, "").values)
