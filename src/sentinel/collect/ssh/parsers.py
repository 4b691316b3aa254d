"""The parsers that module files may name, and reading a section's text through its learned shape."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sentinel.collect.ssh.linux import filesystem, proc, system
from sentinel.collect.ssh.shape import Shape, Tokens, learn
from sentinel.collect.ssh.text import Outcome, Text
from sentinel.model.batch import Floats


@dataclass(frozen=True, slots=True)
class Parser:
    """From a section's text to samples. Never raises: what it cannot read, it leaves out."""

    name: str
    collectors: tuple[str, ...]
    """Whose success it reports as node_scrape_collector_success."""
    parse: Callable[[Text], Iterable[Outcome]]
    names: frozenset[str]
    """Metrics that it gives on nearly every host: what is missing when it cannot be read for the first time."""


_PROC_COLLECTORS = (
    "time",
    "cpu",
    "stat",
    "meminfo",
    "loadavg",
    "diskstats",
    "netdev",
    "netclass",
    "vmstat",
    "filefd",
    "sockstat",
    "netstat",
)
_PROC_NAMES = (
    "node_time_seconds"
    " node_cpu_seconds_total node_cpu_guest_seconds_total node_boot_time_seconds node_procs_running"
    " node_procs_blocked node_context_switches_total node_intr_total node_forks_total node_load1 node_load5"
    " node_load15 node_memory_MemTotal_bytes node_memory_MemFree_bytes node_memory_MemAvailable_bytes"
    " node_memory_Buffers_bytes node_memory_Cached_bytes node_memory_SwapTotal_bytes node_memory_SwapFree_bytes"
    " node_disk_read_bytes_total node_disk_written_bytes_total node_disk_io_time_seconds_total"
    " node_network_receive_bytes_total node_network_transmit_bytes_total node_network_receive_errs_total"
    " node_network_transmit_errs_total node_network_up node_filefd_allocated node_filefd_maximum"
)
_FILESYSTEM_NAMES = frozenset(metric.name for metric in filesystem.METRICS.values())


def parsers() -> dict[str, Parser]:
    """By name."""
    every = (
        Parser("proc", _PROC_COLLECTORS, proc.proc, frozenset(_PROC_NAMES.split())),
        Parser("uname", ("uname",), system.uname, frozenset({system.UNAME.name})),
        Parser("filesystem", ("filesystem",), filesystem.filesystem, _FILESYSTEM_NAMES),
        Parser("filesystem_remote", ("filesystem_remote",), filesystem.filesystem_remote, frozenset()),
        Parser("systemd", ("systemd",), system.systemd, frozenset({system.UNIT_STATE.name})),
    )
    return {parser.name: parser for parser in every}


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one section gave: a shape and the values aligned with its series."""

    shape: Shape
    values: Floats


class Shapes:
    """Learned shapes, shared by hosts whose texts have the same form. The least used go first."""

    def __init__(self, limit: int = 2000) -> None:
        self._limit = limit
        self._known: OrderedDict[tuple[str, bytes], list[Shape]] = OrderedDict()

    def read(self, parser: Parser, data: bytes, last: Shape | None) -> Part:
        """The text through the section's last shape, through one another host taught, or parsed in full."""
        tokens = Tokens(data)
        folded = tokens.folded()
        candidates = self._known.get((parser.name, folded), [])
        for shape in ([last] if last is not None else []) + [each for each in candidates if each is not last]:
            values = shape.values(data, tokens, folded)
            if values is not None:
                return Part(shape, values)
        text = Text.of(data)
        shape = learn(data, tokens, folded, text, parser.parse(text))
        self._remember((parser.name, folded), shape)
        values = shape.values(data, tokens, folded)
        assert values is not None
        return Part(shape, values)

    def _remember(self, key: tuple[str, bytes], shape: Shape) -> None:
        alike = self._known.setdefault(key, [])
        alike.insert(0, shape)
        del alike[16:]
        self._known.move_to_end(key)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)
