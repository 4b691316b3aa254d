"""Software RAID: node_exporter's mdadm collector, from /proc/mdstat.

Format: md_seq_show in drivers/md/md.c of the kernel.

    md0 : active raid1 sdb1[1] sda1[0](F)
          1046528 blocks super 1.2 [2/1] [_U]
          [==>..................]  recovery = 12.6% (131072/1046528) finish=0.1min speed=131072K/sec
          bitmap: 0/1 pages [0KB], 65536KB chunk
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sentinel.collect.ssh.text import Field, Metric, Sample, Text

_STATES = {"active": "", "inactive": "", "recovering": "recovery", "resync": "resync", "check": "check"}
"""As in the label, and the word in the line of progress that means it. An inactive device makes no progress."""
_STATE = Metric.of("node_md_state", "gauge", "Indicates the state of md-device.")
_DISKS = Metric.of("node_md_disks", "gauge", "Number of active/failed/spare disks of device.")
_REQUIRED = Metric.of("node_md_disks_required", "gauge", "Total number of disks of device.")
_BLOCKS = Metric.of("node_md_blocks", "gauge", "Total number of blocks on device.")
_SYNCED = Metric.of("node_md_blocks_synced", "gauge", "Number of blocks synced on device.")
_DEVICE = re.compile(r"(md\S*) : (\S+)( .*|)")
_SIZE = re.compile(r" +([0-9]{1,19}) blocks(?:.*\[([0-9]{1,9})/([0-9]{1,9})\] \[[U_]+\])?.*")
_PROGRESS = re.compile(r".*(recovery|resync|check|reshape) *= *(?:[0-9.]+% \(([0-9]{1,19})/[0-9]+\)|\w+).*")


def mdstat(text: Text) -> Iterator[Sample]:
    """A device's lines end with an empty one."""
    block: list[Field] = []
    for line in text.lines():
        if line.strip() and (block or _DEVICE.fullmatch(line)):
            block.append(line)
        elif block:
            yield from _device(text, block)
            block = []
    if block:
        yield from _device(text, block)


def _device(text: Text, block: list[Field]) -> Iterator[Sample]:
    first = _DEVICE.fullmatch(block[0])
    sizes = [(line, match) for line in block[1:] if (match := _SIZE.fullmatch(line)) is not None]
    if first is None or not sizes:
        return
    name, state, members = first[1], first[2], first[3]
    labels = {"device": Field(name, 0).label}
    line, size = sizes[0]
    blocks = line.part(size.start(1), size.end(1))
    yield Sample(_BLOCKS, blocks, labels)
    synced: Field | float = blocks
    for each in block[2:]:
        progress = _PROGRESS.fullmatch(each)
        if progress is not None:
            state = next((state for state, word in _STATES.items() if word == progress[1]), state)
            # PENDING and DELAYED stand where the figures would.
            synced = each.part(progress.start(2), progress.end(2)) if progress[2] else 0.0
        text.skip(each)
    yield Sample(_SYNCED, synced, labels)
    yield from _disks(line, size, state, members, labels)
    for each_state in _STATES:
        yield Sample(_STATE, float(state == each_state), labels | {"state": each_state})


def _disks(
    line: Field, size: re.Match[str], state: str, members: str, labels: dict[str, str]
) -> Iterator[Sample]:
    """Levels without redundancy have no figures of disks: all are needed."""
    if size[2] is not None:
        required: Field | float = line.part(size.start(2), size.end(2))
        active: Field | float = line.part(size.start(3), size.end(3))
    else:
        required = active = 0.0 if state == "inactive" else float(members.count("["))
    yield Sample(_REQUIRED, required, labels)
    yield Sample(_DISKS, active, labels | {"state": "active"})
    yield Sample(_DISKS, float(members.count("(F)")), labels | {"state": "failed"})
    yield Sample(_DISKS, float(members.count("(S)")), labels | {"state": "spare"})
