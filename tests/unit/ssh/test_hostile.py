"""Whatever a host prints: a parser reads what it can, raises nothing, and gives no more than fits the text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.collect.ssh.parsers import Shapes, parsers
from tests.servers.debian import ROOT
from tests.unit.ssh.reading import figures, read

NAMES = sorted(parsers())
MODULE = (ROOT / "collectors/ssh/linux.yml").read_text()
PATHS = sorted(
    {path.replace("*", "x0") for path in re.findall(r"(/(?:proc|sys|etc|run|var)/[^\s'\"\\;)]+)", MODULE)}
)
CASES = sorted((ROOT / "collectors/cases").glob("linux-*/*.txt"))
PIECES = re.split(
    " ",
    "1 22 333 ffffffff 0x1f -5 0.25 99999999999999999999999999 name type data E:ID_FS_TYPE= md0 : active raid1 "
    "[2/1] [U_] blocks recovery = (F) some total=7 dataset_name POWER_SUPPLY_TEMP=-301 SELINUX= cpu0 udp arp up "
    'state status offset NAME="x proc4ops 72 rpc nread eth0: Tcp: {a="b"} # TYPE == ==> <== \u00fc \x00 \x1b',
)

contents = st.lists(st.sampled_from([*PIECES, "\n", "\n\n", " ", ":", "="]), max_size=60).map(" ".join)
files = st.lists(st.tuples(st.sampled_from(PATHS), contents), max_size=8)


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("parser", NAMES)
@given(found=files)
def test_files_with_anything_in_them_break_no_parser(parser: str, found: list[tuple[str, str]]) -> None:
    text = "\n".join(f"==> {path} <==\n{content}\n" for path, content in found)
    part = read(parser, text)
    assert len(part.values) == len(part.shape.series) <= 40 * len(text) + 40


@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("parser", NAMES)
@given(text=st.binary(max_size=400))
def test_bytes_of_any_kind_break_no_parser(parser: str, text: bytes) -> None:
    read(parser, text)


@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
@given(data=st.data())
def test_a_recorded_text_with_pieces_exchanged_breaks_no_parser(case: object, data: st.DataObject) -> None:
    path = next(each for each in CASES if each == case)
    text = path.read_bytes()
    for _ in range(3):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        text = text[:start] + data.draw(st.binary(max_size=20)) + text[end:]
    read(path.stem, text)


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_same_text_again_is_not_parsed_again(case: object) -> None:
    path = next(each for each in CASES if each == case)
    shapes = Shapes()
    first = read(path.stem, path.read_bytes(), shapes=shapes)
    assert read(path.stem, path.read_bytes(), shapes=shapes, last=first.shape).shape is first.shape


NEXT = [
    ("timex", "state 0\noffset {}\nfrequency {}\nmaxerror 5\nstatus 8193\n"),
    ("queues", "/proc/net/arp:192.0.2.{} 0x1 0x2 02:00:00:00:00:01 * eth{}\n"),
    (
        "hardware",
        "==> /sys/class/hwmon/hwmon0/temp1_input <==\n{}\n==> /sys/class/hwmon/hwmon0/fan1_input <==\n{}\n",
    ),
    ("proc", "==> /proc/pressure/cpu <==\nsome avg10={}.37 avg60=0.00 avg300=0.00 total={}\n"),
    ("proc", "==> /proc/mdstat <==\nmd0 : active raid1 sdb[1] sda[0]\n  {} blocks [2/2] [UU]\n  = {}% x\n"),
    ("proc", "==> /proc/net/softnet_stat <==\n0000{} 00000000 0000{}\n"),
    ("storage", "==> /sys/fs/btrfs/a-b/commit_stats <==\ncommits {}\nlast_commit_ms {}\n"),
    (
        "storage",
        "==> /proc/spl/kstat/zfs/zil <==\n1 1 0x01 1 1 {} 5\nname type data\nzil_commit_count 4 {}\n",
    ),
    ("disks", "==> /proc/diskstats <==\n 8 0 sda 1 2 {} 4 5 {} 7 8 9 10 11\n"),
]


@pytest.mark.parametrize(("parser", "text"), NEXT)
def test_figures_that_change_leave_the_form_as_it_is(parser: str, text: str) -> None:
    if parser == "queues":
        numbers = ((1, 0), (2, 0))
    elif "softnet" in text:
        numbers = ((1234, 9876), (1111, 2222))
    else:
        numbers = ((1, 20), (300, 4))
    shapes = Shapes()
    first = read(parser, text.format(*numbers[0]), shapes=shapes)
    second = read(parser, text.format(*numbers[1]), shapes=shapes, last=first.shape)
    assert first.shape.series
    assert second.shape is first.shape
    assert figures(second) == figures(read(parser, text.format(*numbers[1])))


def test_a_status_that_changes_what_the_offset_means_is_noticed() -> None:
    text = "state 0\nstatus {}\noffset 5000\n"
    shapes = Shapes()
    micro = read("timex", text.format(1), shapes=shapes)
    nano = read("timex", text.format(8193), shapes=shapes, last=micro.shape)
    assert figures(micro)["node_timex_offset_seconds"] == 0.005
    assert figures(nano)["node_timex_offset_seconds"] == 5e-6
