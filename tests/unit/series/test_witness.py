from __future__ import annotations

import numpy as np

from sentinel.model.batch import ABSENT_BITS, Floats, Source, is_stale
from sentinel.series.head import Head
from sentinel.series.witness import Rows
from tests.unit.series.feeding import START, batch, down, fill, layout, source


class Told:
    """Writes down what the head tells, as text: one line a write, its values by series."""

    def __init__(self) -> None:
        self.writes: list[tuple[float, dict[str, str], bool]] = []
        self.forgotten: list[Source] = []

    def write(self, rows: Rows, at: float, values: Floats, *, up: bool, part: bool) -> None:
        assert len(values) == len(rows)
        grid = rows.grid
        names = [
            grid.names[name] + "".join(grid.rows[row])
            for name, row in zip(grid.name_of.tolist(), grid.row_of.tolist(), strict=True)
        ]
        texts = np.where(is_stale(values), "stale", values.astype(str)).tolist()
        held = values.view(np.uint64) != ABSENT_BITS
        told = {name: text for name, text, there in zip(names, texts, held.tolist(), strict=True) if there}
        self.writes.append((at - START, told, up))

    def forget(self, source: Source) -> None:
        self.forgotten.append(source)


def told(head: Head) -> Told:
    witness = Told()
    head.tell(witness)
    return witness


def test_every_stored_sample_is_told_with_those_about_the_poll() -> None:
    head = Head()
    heard = told(head)
    fill(head, source(), layout("a", {"__name__": "b", "port": "1"}), [[1.0, 2.0]])
    about = {"up": "1.0", "sentinel_poll_duration_seconds": "0.1", "sentinel_poll_samples": "2.0"}
    assert heard.writes == [(0.0, {"a": "1.0", "bport1": "2.0", **about}, True)]


def test_a_series_that_leaves_its_layout_is_told_as_stale_once() -> None:
    head = Head()
    heard = told(head)
    fill(head, source(), layout("a", "b"), [[1.0, 2.0]])
    fill(head, source(), layout("b"), [[3.0], [4.0]], start=START + 15)
    stale = [(at, series) for at, series, _ in heard.writes if series.get("a")]
    assert stale == [(0.0, heard.writes[0][1]), (15.0, {"a": "stale"})]


def test_a_source_that_is_down_ends_its_series_once_and_goes_on_about_itself() -> None:
    head = Head()
    heard = told(head)
    at = fill(head, source(), layout("a"), [[1.0]])
    for poll in (1, 2, 3):
        head.append([down(source(), at + 15 * poll)])
    assert [series.get("a") for _, series, _ in heard.writes] == ["1.0", "stale", None, None]
    assert [series["up"] for _, series, _ in heard.writes] == ["1.0", "0.0", "0.0", "0.0"]
    assert [up for _, _, up in heard.writes] == [True, False, False, False]


def test_a_series_that_another_source_gives_is_told_once() -> None:
    head = Head()
    heard = told(head)
    one, other = source("x", site="a"), Source("y", "if_mib", source("x", site="a").labels, 15.0)
    head.append([batch(one, START, layout("a"), [1.0]), batch(other, START, layout("a"), [2.0])])
    assert [series.get("a") for _, series, _ in heard.writes] == ["1.0", None]


def test_a_forgotten_source_ends_a_moment_after_its_last_poll() -> None:
    head = Head()
    heard = told(head)
    fill(head, source(), layout("a"), [[1.0]])
    head.forget(source())
    assert heard.forgotten == [source()]
    at, series, _ = heard.writes[-1]
    assert 0 < at < 0.01
    assert set(series.values()) == {"stale"}
    assert set(series) == {"a", "up", "sentinel_poll_duration_seconds", "sentinel_poll_samples"}


def test_a_late_poll_is_not_told() -> None:
    head = Head()
    heard = told(head)
    fill(head, source(), layout("a"), [[1.0], [2.0]])
    head.append([batch(source(), START, layout("a"), [9.0])])
    assert len(heard.writes) == 2
