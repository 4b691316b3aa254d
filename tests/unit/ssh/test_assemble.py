"""The sections' parts in one layout."""

from __future__ import annotations

from sentinel.collect.ssh.assemble import Assembly
from sentinel.collect.ssh.parsers import Shapes, parsers
from tests.unit.ssh.reading import read

CLOCK = "state 0\nstatus 1\noffset {}\n"


def test_another_form_with_the_same_series_keeps_the_layout() -> None:
    assembly, shapes = Assembly([parsers()["timex"]]), Shapes()
    fast = read("timex", CLOCK.format(5), shapes=shapes)
    slow = read("timex", CLOCK.format(-5), shapes=shapes, last=fast.shape)
    assert slow.shape is not fast.shape
    first, _ = assembly.of([fast], [0.1])
    second, values = assembly.of([slow], [0.1])
    assert second is first
    assert -5e-6 in values


def test_a_series_that_two_sections_give_counts_once_as_the_first_has_it() -> None:
    assembly = Assembly([parsers()["proc"], parsers()["textfile"]])
    proc = read("proc", "==> /proc/loadavg <==\n0.5 0.1 0.1 1/2 3\n")
    file = read("textfile", "==> /a.prom <==\nnode_load1 7\nmine 8\n\n==> mtimes <==\n")
    layout, values = assembly.of([proc, file], [0.1, 0.2])
    found = [(labels.name, float(value)) for labels, value in zip(layout.series, values, strict=True)]
    assert [each for each in found if each[0] in ("node_load1", "mine")] == [
        ("node_load1", 0.5),
        ("mine", 8.0),
    ]
    assert len(layout.series) == len(set(layout.series))
