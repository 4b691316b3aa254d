"""Short ways to write a history and to look at what is in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sentinel.model.batch import ABSENT_BITS
from sentinel.series.head import Head
from sentinel.series.history.gather import Gather, Told
from sentinel.series.history.journal import Journal, numbers
from sentinel.series.history.records import shift_frame
from sentinel.series.history.restore import restore
from sentinel.series.history.segment import Blocks, Segment


class Keeper:
    """A head with a journal, without the daemon around them."""

    def __init__(self, folder: Path, retention: float = 3600.0) -> None:
        self.folder = folder
        self.head = Head(retention=retention)
        self.gather = Gather()
        self.head.tell(self.gather)
        self.journal = Journal(folder)
        self._told = Told()

    def flush(self) -> None:
        for one in self.gather.take():
            self.journal.write(one.frames(self._told))

    def turn(self) -> None:
        """End the segment."""
        self.flush()
        self.journal.close()
        self.gather.begin()
        self._told = Told()

    def shift(self, seconds: float) -> None:
        self.head.shift(seconds)
        milliseconds = round(seconds * 1000)
        for number in numbers(self.folder):
            if number != self.journal.number:
                self.journal.append(number, shift_frame(milliseconds))
        self.gather.shift(milliseconds)


def segments(folder: Path) -> list[Segment]:
    blocks = Blocks(4)
    return [Segment(Journal(folder).path(number), blocks) for number in numbers(folder)]


def restored(folder: Path, now: float, retention: float = 3600.0) -> Head:
    head = Head(retention=retention)
    opened = segments(folder)
    restore(head, opened, now)
    for segment in opened:
        segment.close()
    return head


Dump = dict[str, list[tuple[int, str]]]


def dump(head: Head, start: float, end: float) -> Dump:
    """All samples in (start, end], staleness markers too, by series: milliseconds and bits."""
    found: Dump = {}
    selection = head.select(())
    row = 0
    for piece in selection.pieces:
        samples = piece.samples(start, end)
        values, times = samples.values, samples.times
        for column, count in enumerate(samples.count.tolist()):
            bits = values[:count, column].view(np.uint64)
            at = np.rint(times[:count, column] * 1000).astype(np.int64)
            held = bits != ABSENT_BITS
            found[str(selection.table[row])] = [
                (when, f"{value:x}")
                for when, value in zip(at[held].tolist(), bits[held].tolist(), strict=True)
            ]
            row += 1
    return {series: samples for series, samples in found.items() if samples}
