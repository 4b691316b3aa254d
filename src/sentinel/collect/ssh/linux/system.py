"""Kernel identity: node_exporter's uname collector."""

from __future__ import annotations

from collections.abc import Iterator

from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Metric, Outcome, Sample, Text

UNAME = Metric.of(
    "node_uname_info", "gauge", "Labeled system information as provided by the uname system call."
)
_UNAME = ("sysname", "nodename", "release", "version", "domainname", "machine")


def uname(text: Text) -> Iterator[Outcome]:
    """Six lines, in the order of `_UNAME`."""
    lines = [line.label.strip() for line in text.lines()]
    is_whole = len(lines) >= len(_UNAME) and all(lines[: len(_UNAME)])
    labels = dict(zip(_UNAME, lines, strict=False)) if is_whole else {}
    yield Outcome("uname", (Sample(UNAME, 1.0, labels),) if is_whole else ())


PARSERS = (Parser("uname", ("uname",), uname, frozenset({UNAME.name})),)
