"""Hexadecimal and growing tables are written in decimal before they are parsed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sentinel.collect.ssh.linux.tables import counted, decimal

SOFTNET = b"==> /proc/net/softnet_stat <==\n"
CONNTRACK = b"==> /proc/net/stat/nf_conntrack <==\n"


def test_a_line_per_cpu_is_written_in_decimal() -> None:
    text = (
        b"==> /proc/loadavg <==\n0.1\n\n"
        + SOFTNET
        + b"000000ff 00000010\n0000000a 00000000\n\n==> x <==\nff\n"
    )
    assert decimal(text) == b"==> /proc/loadavg <==\n0.1\n\n" + SOFTNET + b"255 16\n10 0\n\n==> x <==\nff\n"


def test_the_sums_over_all_cpus_stand_below_the_names() -> None:
    text = CONNTRACK + b"entries found\n00000001 000000ff\n00000001 00000001\n"
    assert decimal(text) == CONNTRACK + b"entries found\n2 256\n"


def test_neighbours_are_counted_and_queues_summed_up() -> None:
    text = (
        b"/proc/net/arp:IP address HW type Flags HW address Mask Device\n"
        b"/proc/net/arp:192.0.2.1 0x1 0x2 02:00:00:00:00:01 * eth0\n"
        b"/proc/net/arp:192.0.2.2 0x1 0x2 02:00:00:00:00:02 * eth0\n"
        b"/proc/net/udp:  sl local_address\n"
        b"/proc/net/udp: 1: 00:1 00:0 07 00000010:00000100 00:00000000 0\n"
        b"/proc/net/udp: 2: 00:1 00:0 07 00000000:00000001 00:00000000 0\n"
        b"/proc/net/udp6:  sl local_address\n"
        b"/proc/schedstat:cpu0 1 2\n/proc/schedstat:domain0 3\n"
    )
    assert counted(text) == b"arp eth0 2\nudp v4 257 16\nudp v6 0 0\ncpu0 1 2\n"


def test_hosts_without_the_files_give_nothing() -> None:
    assert counted(b"") == b""
    assert decimal(b"") == b""


@given(st.binary(max_size=300))
def test_no_bytes_break_them(data: bytes) -> None:
    for text in (data, SOFTNET + data, CONNTRACK + data + SOFTNET + data, b"/proc/net/udp:" + data):
        decimal(text)
        counted(text)
