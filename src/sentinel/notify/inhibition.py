"""Inhibition: which firing alerts keep others from being told. Pure.

Source: Alertmanager inhibit/inhibit.go (Mutes, hasEqual): a missing label equals an empty one; what matches
both sides of a rule is not inhibited by others that do, nor by itself.

Rules are looked up by one label that they want to equal something, and firing sources by the values of a rule's
equal labels, so that the cost of an alert hardly depends on how many of either there are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sentinel.config.inhibition import InhibitSettings
from sentinel.config.matchers import Matcher
from sentinel.model.alert import Alert

REMEMBERED = 1000
"""Answers about label values that are kept for a side of a rule: an expression costs more than a look-up."""


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]
    """Label names."""

    @classmethod
    def of(cls, settings: InhibitSettings) -> Rule:
        return cls(settings.name, settings.source, settings.target, settings.equal_names)

    def key(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        return tuple([labels.get(name, "") for name in self.equal])


@dataclass(frozen=True, slots=True)
class Inhibition:
    """That one alert inhibits another."""

    rule: Rule
    source: str
    """The inhibiting alert's fingerprint."""


class _Sources:
    """Firing alerts that are sources of one rule and have the same values of its equal labels, oldest first."""

    __slots__ = ("both_sides", "one_side")

    def __init__(self) -> None:
        self.one_side: dict[str, None] = {}
        self.both_sides: dict[str, None] = {}
        """Those that match the rule's target side too."""

    def first(self, *, excludes_both_sides: bool) -> str | None:
        found = next(iter(self.one_side), None)
        if found is None and not excludes_both_sides:
            found = next(iter(self.both_sides), None)
        return found

    def remove(self, fingerprint: str) -> None:
        self.one_side.pop(fingerprint, None)
        self.both_sides.pop(fingerprint, None)

    def __bool__(self) -> bool:
        return bool(self.one_side or self.both_sides)


class _Index:
    """Which of the rules have a side that may match labels."""

    def __init__(self, sides: Iterable[Sequence[Matcher]]) -> None:
        self._sides = [tuple(side) for side in sides]
        self._by_value: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._others: list[int] = []
        self._names = [tuple(dict.fromkeys(matcher.name for matcher in side)) for side in self._sides]
        self._answers: list[dict[tuple[str, ...], bool]] = [{} for _ in self._sides]
        exact = [[matcher for matcher in side if matcher.operator == "="] for side in self._sides]
        common = Counter(matcher for side in exact for matcher in side)
        for number, side in enumerate(exact):
            if not side:
                self._others.append(number)
                continue
            rarest = min(side, key=lambda matcher: common[matcher])
            self._by_value[rarest.name][rarest.value].append(number)

    def candidates(self, labels: Mapping[str, str]) -> list[int]:
        """The numbers of the rules whose side may match, in order; those that are left out do not."""
        found = list(self._others)
        for name, values in self._by_value.items():
            found += values.get(labels.get(name, ""), ())
        return sorted(found)

    def matches(self, number: int, labels: Mapping[str, str]) -> bool:
        answers = self._answers[number]
        values = tuple([labels.get(name, "") for name in self._names[number]])
        answer = answers.get(values)
        if answer is None:
            if len(answers) >= REMEMBERED:
                answers.clear()
            answer = answers[values] = all(matcher.matches(labels) for matcher in self._sides[number])
        return answer


class Inhibitor:
    """The firing alerts of a daemon, as far as they are sources of its rules."""

    def __init__(self, rules: Iterable[InhibitSettings]) -> None:
        self._rules = [Rule.of(rule) for rule in rules]
        self._as_source = _Index(rule.source for rule in self._rules)
        self._as_target = _Index(rule.target for rule in self._rules)
        self._sources: list[dict[tuple[str, ...], _Sources]] = [{} for _ in self._rules]
        self._places: dict[str, tuple[tuple[int, tuple[str, ...]], ...]] = {}

    def add(self, alert: Alert) -> None:
        """From now on it fires; once more changes nothing."""
        if alert.fingerprint in self._places:
            return
        places = []
        for number in self._as_source.candidates(alert.labels):
            if not self._as_source.matches(number, alert.labels):
                continue
            key = self._rules[number].key(alert.labels)
            sources = self._sources[number].setdefault(key, _Sources())
            is_both = self._as_target.matches(number, alert.labels)
            (sources.both_sides if is_both else sources.one_side)[alert.fingerprint] = None
            places.append((number, key))
        if places:
            self._places[alert.fingerprint] = tuple(places)

    def remove(self, alert: Alert) -> None:
        """It fires no longer; one that is not there changes nothing."""
        for number, key in self._places.pop(alert.fingerprint, ()):
            sources = self._sources[number][key]
            sources.remove(alert.fingerprint)
            if not sources:
                del self._sources[number][key]

    def inhibitions(self, labels: Mapping[str, str]) -> Iterator[Inhibition]:
        """What inhibits an alert with these labels: for each rule that does, the source that was added first."""
        if not self._places:
            return
        for number in self._as_target.candidates(labels):
            rule, sources = self._rules[number], self._sources[number]
            # Looking for a source costs less than matching labels.
            found = sources.get(rule.key(labels)) if sources else None
            if found is None or not self._as_target.matches(number, labels):
                continue
            is_source = self._as_source.matches(number, labels)
            first = found.first(excludes_both_sides=is_source)
            if first is not None:
                yield Inhibition(rule, first)

    def inhibitors_of(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Fingerprints of the alerts that inhibit one with these labels, each once; none: it may be told."""
        return tuple(dict.fromkeys(found.source for found in self.inhibitions(labels)))
