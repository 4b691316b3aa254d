"""Metrics that programs on the host leave in files: node_exporter's textfile collector.

The text is the files in Prometheus' text format 0.0.4, each below its line `==> PATH <==`, then below
`==> mtimes <==` lines `UNIXTIME PATH`. A file with anything in it that cannot be read is left out as a whole, and
node_textfile_scrape_error is 1, as in node_exporter.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from sentinel.collect.ssh.linux.files import label, read_files
from sentinel.collect.ssh.parser import Parser
from sentinel.collect.ssh.text import Field, Metric, Outcome, Sample, Text
from sentinel.model.batch import Family, MetricType

_MOST = 10_000
"""Samples of one host."""
_ERROR = Metric.of(
    "node_textfile_scrape_error", "gauge", "1 if there was an error opening or reading a file, 0 otherwise"
)
_CHANGED = Metric.of("node_textfile_mtime_seconds", "gauge", "Unixtime mtime of textfiles successfully read.")
_COMMENT = re.compile(r"# *(TYPE|HELP) +([a-zA-Z_:][a-zA-Z0-9_:]*) +(.*)")
_SAMPLE = re.compile(
    r'\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?\s*([^\s{}"]+)(\s+-?\d+)?\s*'
)
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_VALUE = re.compile(r"[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|inf|nan)", re.ASCII | re.IGNORECASE)
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
_ESCAPE = re.compile(r'\\[\\"n]')
_TYPES: Mapping[str, MetricType] = {"counter": "counter", "gauge": "gauge"}
_OWN = re.compile(
    r"(up|ALERTS|ALERTS_FOR_STATE|node_scrape_collector_\w+|node_textfile_\w+|sentinel_\w+)", re.ASCII
)
"""Names that say something about the poll itself."""
_SOURCE_LABELS = ("instance", "job")


class _UnreadableError(Exception):
    """A line that is no sample."""


def textfile(text: Text) -> Iterator[Outcome]:
    files = read_files(text)
    samples: list[Sample] = []
    read: list[str] = []
    is_cut = bool(files) and "mtimes" not in files
    failed = is_cut
    for path, content in files.items():
        if is_cut or not path.startswith("/"):
            continue
        try:
            found = list(_samples(content, path))
            if len(samples) + len(found) > _MOST:
                raise _UnreadableError
        except _UnreadableError:
            failed = True
            continue
        samples += found
        read.append(path)
    samples += _mtimes(files.get("mtimes", Text("")), read)
    yield Outcome("textfile", (*samples, Sample(_ERROR, 1.0 if failed else 0.0)))


def _mtimes(text: Text, read: list[str]) -> Iterator[Sample]:
    for line in text.lines():
        seconds, _, path = line.partition(" ")
        value = line.part(0, len(seconds))
        if path in read and value.is_number:
            yield Sample(_CHANGED, value, {"file": label(path)})


def _samples(content: Text, path: str) -> Iterator[Sample]:
    """
    Raises:
        _UnreadableError: there is a line that is no sample, or one with a time of its own.
    """
    families: dict[str, Family] = {}
    for line in content.lines():
        if not line.strip():
            continue
        if line.lstrip().startswith("#"):
            _note(families, line, path)
            continue
        match = _SAMPLE.fullmatch(line)
        if match is None or match[4] or _OWN.fullmatch(match[1]):
            raise _UnreadableError
        written = line.part(match.start(3), match.end(3))
        if not _VALUE.fullmatch(written):
            raise _UnreadableError
        family = families.get(match[1], Family("unknown", f"Metric read from {label(path)}"))
        value: Field | float = written if written.is_number else float(written)
        yield Sample(Metric(match[1], family), value, _labels(match[2] or ""))


def _note(families: dict[str, Family], line: Field, path: str) -> None:
    comment = _COMMENT.fullmatch(line.strip())
    if comment is None:
        return
    before = families.get(comment[2], Family("unknown", f"Metric read from {label(path)}"))
    said = Field(comment[3], 0).label
    if comment[1] == "HELP":
        families[comment[2]] = Family(before.type, said)
    else:
        families[comment[2]] = Family(_TYPES.get(said.strip(), "unknown"), before.help)


def _labels(written: str) -> dict[str, str]:
    """As Prometheus does, labels that the source has itself become exported_…"""
    found: dict[str, str] = {}
    place = 0
    while place < len(written.rstrip()):
        match = _LABEL.match(written, place)
        if match is None:
            raise _UnreadableError
        name = f"exported_{match[1]}" if match[1] in _SOURCE_LABELS else match[1]
        value = _ESCAPE.sub(lambda escape: _ESCAPES[escape[0]], Field(match[2], 0).label)
        if value:
            found[name] = value
        place = match.end()
    return found


PARSERS = (Parser("textfile", ("textfile",), textfile, frozenset({_ERROR.name})),)
