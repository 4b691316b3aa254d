"""The sections' parts in one layout."""

from __future__ import annotations

from sentinel.collect.ssh.assemble import Assembly, Layouts
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


def test_hosts_that_are_alike_share_a_layout() -> None:
    layouts, shapes = Layouts(), Shapes()
    first, second, alone = (
        Assembly([parsers()["uname"]], shared) for shared in (layouts, layouts, Layouts())
    )
    texts = (b"Linux\nweb1\n6.1\n#1\n(none)\nx86_64\n", b"Linux\nweb2\n6.1\n#1\n(none)\nx86_64\n")
    part, other = (shapes.read(parsers()["uname"], text, None) for text in texts)
    assert first.of([part], [0.1])[0] is second.of([part], [0.2])[0]
    assert first.of([part], [0.1])[0] is not alone.of([part], [0.1])[0]
    assert first.of([part], [0.1])[0] is not second.of([other], [0.1])[0]


def test_the_least_used_layouts_are_forgotten_but_not_by_who_uses_them() -> None:
    layouts, shapes = Layouts(limit=2), Shapes()
    own = Assembly([parsers()["uname"]], layouts)
    texts = [b"Linux\nweb%d\n6.1\n#1\n(none)\nx86_64\n" % number for number in range(5)]
    parts = [shapes.read(parsers()["uname"], text, None) for text in texts]
    layout, _ = own.of([parts[0]], [0.1])
    for part in parts[1:]:
        Assembly([parsers()["uname"]], layouts).of([part], [0.1])
    assert own.of([parts[0]], [0.1])[0] is layout
