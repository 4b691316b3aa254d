"""Texts read as a module file says."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.collect.ssh.extract.parser import MAX_SAMPLES, parser_of
from sentinel.collect.ssh.extract.schema import Unit, WrittenRead
from sentinel.collect.ssh.extract.values import read_value
from sentinel.collect.ssh.modules import parse_modules
from sentinel.collect.ssh.parsers import Shapes
from sentinel.config.yaml import parse_yaml
from sentinel.model.problem import UnusableError


def _read(data: str | bytes, format_: str, *metrics: dict[str, Any], **more: Any) -> dict[str, float]:
    """Samples by their text; read twice, the second time through the learned shape."""
    written = WrittenRead.model_validate(
        {"format": format_, "metrics": [{"help": "h", **metric} for metric in metrics], **more}
    )
    raw = data.encode() if isinstance(data, str) else data
    parser, shapes = parser_of("m.s", written), Shapes()
    first = shapes.read(parser, raw, None)
    again = shapes.read(parser, raw, first.shape)
    assert again.shape is first.shape
    assert np.array_equal(first.values, again.values)
    return {str(labels): float(value) for labels, value in zip(first.shape.series, first.values, strict=True)}


def test_key_value_takes_named_keys_and_families_of_keys() -> None:
    lines = (
        "connected_clients:12",
        "used_memory_human:1.5M",
        "cmdstat_get:calls=5,usec=9",
        "cmdstat_set:calls=7,usec=1",
        "# x",
        "role:master",
    )
    found = _read(
        "\r\n".join(lines),
        "key_value",
        {"name": "clients", "value": "connected_clients"},
        {"name": "memory_bytes", "value": "used_memory_human", "unit": "bytes"},
        {
            "name": "calls_total",
            "type": "counter",
            "keys": "cmdstat_(?P<cmd>.+)",
            "pattern": "calls=(?P<value>[0-9]+)",
            "labels": {"cmd": "cmd"},
        },
        {"name": "is_master", "value": "role", "map": {"master": 1, "slave": 0}},
        {"name": "nothing", "value": "no_such_key"},
        separator=":",
    )
    assert found == {
        "clients{}": 12.0,
        "memory_bytes{}": 1.5 * 2**20,
        'calls_total{cmd="get"}': 5.0,
        'calls_total{cmd="set"}': 7.0,
        "is_master{}": 1.0,
    }


def test_columns_by_headings_by_names_and_by_separator() -> None:
    up = {"name": "up", "value": "status", "map": {"UP": 1, "DOWN": 0}, "labels": {"proxy": "pxname"}}
    csv = '# pxname,svname,status\nweb,FRONTEND,UP\n"a,b",s1,DOWN\nother,s1,OPEN\n'
    assert _read(csv, "columns", up, separator=",") == {'up{proxy="web"}': 1.0, 'up{proxy="a,b"}': 0.0}
    text = "ignored\n  12 root  /bin/sh -c x\n 3 me y\n"
    cpu = {"name": "n", "value": "pid", "labels": {"args": "args"}, "where": {"user": "ro.*"}}
    assert _read(text, "columns", cpu, fields=["pid", "user", "args"], skip=1) == {
        'n{args="/bin/sh -c x"}': 12.0
    }


def test_columns_with_like_names_are_one_family() -> None:
    metric = {"name": "n_total", "keys": "hrsp_(?P<code>...)", "labels": {"code": "code", "proxy": "name"}}
    found = _read("name,hrsp_2xx,hrsp_5xx\nweb,7,\n", "columns", metric, separator=",")
    assert found == {'n_total{code="2xx", proxy="web"}': 7.0}


def test_records_are_told_apart_by_a_word() -> None:
    text = "sent 1 a\nreceived 2 b\nsent 3 c\nother 4 a\n"
    found = _read(
        text,
        "columns",
        {"name": "sent", "value": "n", "where": {"what": "sent"}, "labels": {"to": "to"}},
        {"name": "sent_to_c", "value": "n", "where": {"what": "sent", "to": "c"}},
        {"name": "received", "value": "n", "where": {"what": "received"}},
        {"name": "moved", "value": "n", "where": {"what": "s.*|r.*"}, "labels": {"to": "to"}},
        fields=["what", "n", "to"],
    )
    assert found == {
        'sent{to="a"}': 1.0,
        'sent{to="c"}': 3.0,
        "sent_to_c{}": 3.0,
        "received{}": 2.0,
        'moved{to="a"}': 1.0,
        'moved{to="b"}': 2.0,
        'moved{to="c"}': 3.0,
    }


def test_labels_that_are_always_the_same_and_a_sample_for_each_state() -> None:
    idle = {"name": "workers", "value": "IdleWorkers", "fixed": {"state": "idle"}}
    busy = {"name": "workers", "value": "BusyWorkers", "fixed": {"state": "busy"}}
    text = "IdleWorkers: 3\nBusyWorkers: 1\n"
    assert _read(text, "key_value", idle, busy, separator=":") == {
        'workers{state="busy"}': 1.0,
        'workers{state="idle"}': 3.0,
    }
    status = {"name": "status", "labels": {"server": "name"}, "states": {"state": ["UP", "DOWN"]}}
    shown = status | {"value": "is", "pattern": "^(?P<value>[A-Z]+)"}
    assert _read("s1,UP 1/2\ns2,no check\n", "columns", shown, fields=["name", "is"], separator=",") == {
        'status{server="s1", state="DOWN"}': 0.0,
        'status{server="s1", state="UP"}': 1.0,
    }
    assert _read("s1,MAINT\n", "columns", status | {"value": "is"}, fields=["name", "is"], separator=",") == {
        'status{server="s1", state="DOWN"}': 0.0,
        'status{server="s1", state="UP"}': 0.0,
    }


def test_regex_gives_a_record_for_each_match() -> None:
    text = "eth0 up 10\neth1 down -3.5\n"
    metric = {"name": "x", "labels": {"nic": "nic"}}
    found = _read(text, "regex", metric, pattern=r"(?P<nic>\w+) (?:up|down) (?P<value>-?[0-9.]+)")
    assert found == {'x{nic="eth0"}': 10.0, 'x{nic="eth1"}': -3.5}


def test_json_lists_lines_and_nested_fields() -> None:
    metric = {"name": "x", "value": "stats.mem", "unit": "bytes", "labels": {"name": "name"}}
    whole = json.dumps({"data": {"list": [{"name": "a", "stats": {"mem": "1GiB"}}, {"name": "b"}]}})
    assert _read(whole, "json", metric, items="data.list") == {'x{name="a"}': 2.0**30}
    lines = '{"name":"a","stats":{"mem":5}}\nnoise\n{"name":"b","stats":{"mem":6.5}}\n'
    assert _read(lines, "json", metric) == {'x{name="a"}': 5.0, 'x{name="b"}': 6.5}


def test_numbers_that_change_keep_the_shape() -> None:
    read = WrittenRead.model_validate(
        {"format": "key_value", "metrics": [{"name": "a", "help": "h", "value": "a"}]}
    )
    parser, shapes = parser_of("m.s", read), Shapes()
    shape = shapes.read(parser, b"a=1", None).shape
    for text, value in (
        (b"a=2.5", 2.5),
        (b"a=9007199254740991", 9007199254740991.0),
        (b"a=1e-7", 1e-7),
        (b"a=0", 0.0),
    ):
        part = shapes.read(parser, text, shape)
        assert part.shape is shape
        assert part.values.tolist() == pytest.approx([value])


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("12", "number", 12.0),
        ("12 ms", "number", None),
        ("1.2kB", "bytes", 1200.0),
        ("1.5GiB", "bytes", 1.5 * 2**30),
        ("4K", "bytes", 4096.0),
        ("100 MB/s", "bytes", 1e8),
        ("7 apples", "bytes", None),
        ("12.5%", "percent", 0.125),
        ("1-02:03:04", "duration", 93784.0),
        ("02:30", "duration", 150.0),
        ("1d 2h", "duration", 93600.0),
        ("3 weeks ago", "duration", 1814400.0),
        ("1 hour and 5 min", "duration", 3900.0),
        ("2026-06-01T12:00:00Z", "timestamp", 1780315200.0),
        ("Jun  1 12:00:00 2026 GMT", "timestamp", 1780315200.0),
        ("1780315200", "timestamp", 1780315200.0),
        ("on", "boolean", 1.0),
        ("Stopped", "boolean", 0.0),
        ("maybe", "boolean", None),
        ("1e999", "number", None),
        ("9" * 400, "number", None),
    ],
)
def test_values_as_tools_write_them(text: str, unit: Unit, value: float | None) -> None:
    assert read_value(text, unit, {}) == value


_METRICS = [
    {"name": "a", "help": "h", "value": "a", "labels": {"x": "b", "y": "c"}},
    {"name": "b", "help": "h", "value": "value", "labels": {"x": "k"}},
]


@given(
    st.one_of(
        st.binary(max_size=400), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
    )
)
def test_no_text_breaks_a_format(data: bytes) -> None:
    for extra in (
        {"format": "key_value"},
        {"format": "columns"},
        {"format": "columns", "separator": ","},
        {"format": "regex", "pattern": r"(?P<k>\w+)\W+(?P<value>[0-9.]+)"},
        {"format": "json"},
    ):
        parser = parser_of("m.s", WrittenRead.model_validate({"metrics": _METRICS, **extra}))
        Shapes().read(parser, data, None)


def test_a_flood_is_bounded() -> None:
    metric = {"name": "x", "labels": {"i": "i"}}
    text = "\n".join(f"row{i} 1" for i in range(30_000))
    found = _read(text, "regex", metric, pattern="(?P<i>row[0-9]+) (?P<value>1)")
    assert len(found) == MAX_SAMPLES


GOOD = """\
modules:
  files:
    params: {paths: [/var/tmp], pattern: "*"}
    sections:
      - name: newest
        command: printf '%s\\n' "$sentinel_paths" "$sentinel_pattern"
        read: {format: columns, fields: [value], metrics: [{name: x, help: h}]}
  mine:
    extends: files
    params: {paths: ["/srv/it's", "/data; rm -rf $HOME"]}
"""


def test_parameters_reach_the_command_as_they_are() -> None:
    modules = parse_modules(parse_yaml(GOOD, "mine.yml"))
    (section,) = modules["mine"].sections
    printed = subprocess.run(["/bin/sh", "-c", section.command], capture_output=True, text=True, check=True)
    assert printed.stdout == "/srv/it's\n/data; rm -rf $HOME\n*\n"
    assert modules["files"].sections[0].command != section.command


def test_modules_with_other_parameters_have_another_key() -> None:
    def key(text: str) -> str:
        return text.partition("sentinel_key=")[2].split("\n")[0]

    modules = parse_modules(parse_yaml(GOOD, "mine.yml"))
    keys = {name: key(module.sections[0].command) for name, module in modules.items()}
    assert all(re.fullmatch("[0-9a-f]{12}", each) for each in keys.values())
    assert keys["files"] != keys["mine"]


def test_nothing_printed_is_not_taken_for_something() -> None:
    """So that a missing program is told by its exit status."""
    read = WrittenRead.model_validate({"format": "json", "metrics": [{"name": "a", "help": "h"}]})
    part = Shapes().read(parser_of("m.s", read), b"", None)
    assert not any(part.shape.success.values())


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("extends: files", "extends: file", "mine.yml:9:14: unknown module 'file' (did you mean 'files'?)"),
        (
            '    params: {paths: ["',
            '    params: {path: ["',
            "unknown parameter 'path' of module 'files' (did you mean 'paths'?)",
        ),
        ("/data;", "a\\nb", "a parameter is one line"),
        ("format: columns, ", "format: csv, ", "format"),
        ("read: {", "parser: uname\n        read: {", "needs 'parser' or 'read', one of them"),
        ("{name: x, ", "{name: x-y, ", "not a metric name"),
        ("help: h}", "help: h, labels: {instance: a}}", "is the target's own label"),
        (
            "columns, fields: [value]",
            "regex, pattern: '(?P<value>.)'",
            "'keys' does not go with format regex",
        ),
        ("help: h}", "help: h, fixed: {a: b}, labels: {a: b}}", "label 'a' is given twice"),
        ("help: h}", "help: h, states: {a: [b]}, map: {b: 1}}", "neither 'map' nor 'unit' beside it"),
        ('pattern: "*"}', 'key: "*"}', "$sentinel_key is Sentinel's own"),
        ("help: h}", "help: h, pattern: '('}", "not a regular expression"),
        (
            "    params: {paths: [/var/tmp]",
            "    extends: mine\n    params: {paths: [/var/tmp]",
            "goes in a circle",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(old: str, new: str, problem: str) -> None:
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    if "regex" in new:
        text = text.replace("help: h}", "help: h, keys: a}")
    with pytest.raises(UnusableError) as caught:
        parse_modules(parse_yaml(text, "mine.yml"))
    assert any(problem in str(one) and str(one).startswith("mine.yml:") for one in caught.value.problems), [
        str(one) for one in caught.value.problems
    ]
