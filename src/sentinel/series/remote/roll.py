"""The roll of received series: which there are, in which cohorts, found by the bytes of their labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sentinel.model.batch import Source
from sentinel.model.labels import Labels
from sentinel.series.columns.pool import Index
from sentinel.series.received import Sent
from sentinel.series.remote import wire
from sentinel.series.remote.cohort import FIRST_INTERVAL, MOST, Cohort, Origin

_SETTLED: Final = 4
"""Polls after which cohorts that have them in common may be united."""


class Roll:
    """Numbers are given to series for as long as they are kept; then they are given again."""

    def __init__(self, most: int) -> None:
        """
        Args:
            most: series.
        """
        self._most = most
        self.numbers: dict[bytes, int] = {}
        """By encoded labels: as `wire.labels_of` makes them, and as senders do where that differs."""
        self.cohorts: dict[int, Cohort] = {}
        self.by_source: dict[Source, Cohort] = {}
        self.origins: dict[tuple[str, ...], Origin] = {}
        self.instances: Counter[str] = Counter()
        """Origins of each instance."""
        self._other_names: dict[int, list[bytes]] = {}
        self._free: list[int] = []
        self._used = 0
        self._cohort_of: NDArray[np.int32] = np.empty(0, np.int32)
        self._place_of: NDArray[np.int32] = np.empty(0, np.int32)
        self._next_cohort = 0

    def __len__(self) -> int:
        return self._used - len(self._free)

    @property
    def is_full(self) -> bool:
        return len(self) >= self._most or self.has_no_room_for_cohorts

    @property
    def has_no_room_for_cohorts(self) -> bool:
        return len(self.cohorts) >= max(1000, self._most // 5)

    # Series

    def find(self, one: wire.Received) -> int | None:
        """The number of a series that may be encoded in another way than before."""
        number = self.numbers.get(one.encoded if one.is_usual else wire.labels_of(one.labels))
        if number is not None and one.encoded and one.encoded not in self.numbers:
            names = self._other_names.setdefault(number, [])
            if len(names) < 2:
                names.append(one.encoded)
                self.numbers[one.encoded] = number
        return number

    def places(self, numbers: Index) -> tuple[NDArray[np.int32], Index]:
        """Cohorts of these series, and their places there."""
        return self._cohort_of[numbers], self._place_of[numbers].astype(np.intp)

    def labels(self, number: int) -> Labels:
        cohort, place = self.cohorts[int(self._cohort_of[number])], int(self._place_of[number])
        return Labels(wire.pairs_of(cohort.encoded[place]))

    def join(self, cohort: Cohort, one: wire.Received) -> int:
        """A new series' number."""
        encoded = one.encoded if one.is_usual else wire.labels_of(one.labels)
        number = self._join(cohort, encoded, is_up=one.labels.name == "up")
        if not one.is_usual:
            self.find(one)
        return number

    def _join(self, cohort: Cohort, encoded: bytes, *, is_up: bool) -> int:
        if self._free:
            number = self._free.pop()
        else:
            number = self._used
            self._used += 1
            if number >= len(self._cohort_of):
                more = np.zeros(max(1024, number // 2), np.int32)
                self._cohort_of = np.concatenate([self._cohort_of, more])
                self._place_of = np.concatenate([self._place_of, more])
        self.numbers[encoded] = number
        self._cohort_of[number] = cohort.number
        self._place_of[number] = cohort.join(encoded, number, is_up=is_up)
        return number

    # Cohorts

    def origin(self, labels: Labels, sender: str) -> Origin:
        job, instance = labels.get("job", ""), labels.get("instance", "")
        key = (job, instance) if job or instance else ("", "", sender)
        found = self.origins.get(key)
        if found is None:
            own = {name: value for name, value in (("job", job), ("instance", instance)) if value}
            found = self.origins[key] = Origin(own, sender)
            self.instances[instance] += 1
        return found

    def open(self, origin: Origin, now: float, like: Cohort | None = None) -> Cohort:
        """A cohort without series.

        Args:
            like: the cohort of which it is to be a part.
        """
        module = self._module(origin, self._next_cohort)
        if like is not None:
            source = replace(like.source, module=module)
        else:
            target = origin.labels.get("instance", origin.sender)
            source = Source(target, module, Labels(origin.labels), FIRST_INTERVAL, is_received=True)
        cohort = self._enter(origin, source, now)
        self._next_cohort += 1
        if like is not None:
            cohort.follow(like)
        return cohort

    def _enter(self, origin: Origin, source: Source, now: float) -> Cohort:
        cohort = Cohort(self._next_cohort, origin, source, now)
        self.cohorts[cohort.number] = self.by_source[source] = cohort
        origin.cohorts.append(cohort)
        return cohort

    def resume(self, sent: Sent, now: float) -> bool:
        """A cohort as it was before a restart; False: there is no room for it, or its series are known already."""
        encoded = [wire.labels_of(labels) for labels in sent.series]
        is_known = any(one in self.numbers for one in encoded) or len(set(encoded)) < len(encoded)
        if is_known or not encoded or len(self) + len(encoded) > self._most or self.has_no_room_for_cohorts:
            return False
        source = sent.source
        origin = self.origin(source.labels, source.target)
        number = source.module.rpartition("#")[2]
        self._next_cohort = max(self._next_cohort, int(number) if number.isdecimal() else 0)
        cohort = self._enter(origin, source, now)
        self._next_cohort += 1
        for labels, one in zip(sent.series, encoded, strict=True):
            self._join(cohort, one, is_up=labels.name == "up")
        cohort.resume(sent.newest, round(sent.at * 1000), sent.polls, now)
        return True

    def _module(self, origin: Origin, number: int) -> str:
        return f"{origin.labels.get('job', 'received')} #{number}"

    def move(self, cohort: Cohort, into: Cohort, places: Index) -> None:
        """Give series to another cohort; one that has none left is closed."""
        first = len(into)
        into.take_from(cohort, places)
        moved = np.array(into.numbers[first:], np.intp)
        self._cohort_of[moved] = into.number
        self._place_of[moved] = np.arange(first, len(into))
        cohort.leave(places)
        self._renumber(cohort)
        if not len(cohort):
            self.close(cohort)

    def leave(self, cohort: Cohort, places: Index) -> None:
        """Give series up."""
        for place in places.tolist():
            self._strike(cohort.encoded[place], cohort.numbers[place])
        cohort.leave(places)
        self._renumber(cohort)

    def close(self, cohort: Cohort) -> None:
        for encoded, number in zip(cohort.encoded, cohort.numbers, strict=True):
            self._strike(encoded, number)
        for at in list(cohort.waiting):
            cohort.drop(at)
        del self.cohorts[cohort.number], self.by_source[cohort.source]
        origin = cohort.origin
        origin.cohorts.remove(cohort)
        if not origin.cohorts:
            instance = origin.labels.get("instance", "")
            self.instances[instance] -= 1
            if not self.instances[instance]:
                del self.instances[instance]
            self.origins = {key: each for key, each in self.origins.items() if each is not origin}

    def alike(self, origin: Origin) -> Iterator[tuple[Cohort, Cohort]]:
        """Cohorts that had their last poll at the same instant, the larger one first; each in one pair."""
        by_last: dict[tuple[int, float], list[Cohort]] = {}
        for cohort in origin.cohorts:
            if not cohort.waiting and cohort.polls >= _SETTLED:
                by_last.setdefault((cohort.last, cohort.source.interval), []).append(cohort)
        for found in by_last.values():
            found.sort(key=len)
            while len(found) > 1:
                rest, cohort = found.pop(0), found.pop()
                if len(rest) + len(cohort) <= MOST:
                    yield cohort, rest

    def _renumber(self, cohort: Cohort) -> None:
        self._place_of[np.array(cohort.numbers, np.intp)] = np.arange(len(cohort))

    def _strike(self, encoded: bytes, number: int) -> None:
        for name in (encoded, *self._other_names.pop(number, ())):
            self.numbers.pop(name, None)
        self._free.append(number)
