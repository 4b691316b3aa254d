"""Tables of the kernel that are hexadecimal, or have a row for each thing that comes and goes.

Here they are written in decimal, summed up or counted before they are parsed, so that the text keeps its form.
Formats: net/core/net-procfs.c (softnet_stat), net/netfilter/nf_conntrack_standalone.c, proc(5) (arp, udp).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

_HEX_ROW = re.compile(rb"(?:(?:[0-9a-f]{16}|[0-9a-f]{8})(?:\s+|$))+")
_QUEUES = re.compile(rb" ([0-9A-F]{8,16}):([0-9A-F]{8,16}) [0-9A-F]{2}:")
_MOST_DEVICES = 1000


def decimal(data: bytes) -> bytes:
    """The output of `head` over files of /proc, with the hexadecimal ones in decimal."""
    for header, rewrite in _REWRITTEN:
        start = data.find(header)
        if start < 0 or (start > 0 and data[start - 1] != 10):
            continue
        start += len(header)
        end = data.find(b"\n==> ", start)
        if end < 0:
            end = len(data)
        data = data[:start] + rewrite(data[start:end]) + data[end:]
    return data


def _rows(table: bytes) -> Iterator[list[int]]:
    for line in table.split(b"\n"):
        if _HEX_ROW.fullmatch(line):
            yield [int(word, 16) for word in line.split()]


def _softnet(table: bytes) -> bytes:
    """A line per CPU, columns as they are."""
    return b"".join(b" ".join(b"%d" % number for number in row) + b"\n" for row in _rows(table))


def _conntrack(table: bytes) -> bytes:
    """The line of names, and the sums over all CPUs."""
    names = table.split(b"\n", 1)[0]
    sums = [sum(column) for column in zip(*_rows(table), strict=False)]
    return names + b"\n" + b" ".join(b"%d" % number for number in sums) + b"\n"


_REWRITTEN: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"==> /proc/net/softnet_stat <==\n", _softnet),
    (b"==> /proc/net/stat/nf_conntrack <==\n", _conntrack),
)


def counted(data: bytes) -> bytes:
    """
    The output of `grep -H` over /proc/net/arp, udp, udp6 and /proc/schedstat, as lines `arp DEVICE COUNT`,
    `udp v4 RX TX` (bytes in all queues) and the lines of schedstat as they are.
    """
    neighbours: Counter[bytes] = Counter()
    queues: dict[bytes, list[int]] = {}
    rest: list[bytes] = []
    for line in data.split(b"\n"):
        path, _, row = line.partition(b":")
        if path == b"/proc/net/arp":
            words = row.split()
            if len(words) >= 6 and words[0] != b"IP" and len(neighbours) < _MOST_DEVICES:
                neighbours[words[-1]] += 1
        elif path in (b"/proc/net/udp", b"/proc/net/udp6"):
            sums = queues.setdefault(b"v6" if path.endswith(b"6") else b"v4", [0, 0])
            match = _QUEUES.search(row)
            if match is not None:
                sums[1] += int(match[1], 16)
                sums[0] += int(match[2], 16)
        elif path == b"/proc/schedstat" and row.startswith(b"cpu"):
            rest.append(row)
    lines = [b"arp %s %d" % each for each in sorted(neighbours.items())]
    lines += [b"udp %s %d %d" % (ip, sums[0], sums[1]) for ip, sums in sorted(queues.items())]
    return b"\n".join([*lines, *rest, b""])
