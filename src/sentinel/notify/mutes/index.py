"""Finds what matches a label set among thousands of matcher lists without trying each of them.

A list is filed under something that a label set must have for it to match: one of some values of a label, or
else a label at all. What is filed under a label alone is asked in groups: one expression says no for many.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from sentinel.config.matchers import Matcher
from sentinel.model.pattern import Pattern

GROUP = 50
"""Expressions that are asked as one."""
MAX_VALUES = 1000
"""Values under which one list is filed."""

_LITERALS = re.compile(r"[\w@/:;,%&=<>~#!' -]+(?:\|[\w@/:;,%&=<>~#!' -]+)*")


class Condition(Protocol):
    """What is filed."""

    @property
    def matchers(self) -> Sequence[Matcher]: ...

    def matches(self, labels: Mapping[str, str], /) -> bool: ...


C = TypeVar("C", bound=Condition)


class _Group(Generic[C]):
    """Some conditions with an expression for the same label."""

    def __init__(self) -> None:
        self.members: dict[str, tuple[str, C]] = {}
        """By id: the expression and the condition."""
        self._any: Pattern | None = None
        self._is_stale = True

    def add(self, id_: str, expression: str, condition: C) -> None:
        self.members[id_] = (expression, condition)
        self._is_stale = True

    def remove(self, id_: str) -> None:
        del self.members[id_]
        self._is_stale = True

    def may_match(self, value: str) -> bool:
        if self._is_stale:
            self._any, self._is_stale = self._joined(), False
        return self._any is None or self._any.matches(value)

    def _joined(self) -> Pattern | None:
        """One expression for all; None: too long or too large for one."""
        distinct = dict.fromkeys(expression for expression, _ in self.members.values())
        try:
            return Pattern.of("|".join(f"(?:{one})" for one in distinct), dot_is_any=False)
        except ValueError:
            return None


class _Shelf(Generic[C]):
    """What needs a label, whatever its value."""

    def __init__(self) -> None:
        self._groups: list[_Group[C]] = []
        self._place: dict[str, _Group[C]] = {}
        self._plain: dict[str, C] = {}
        """Without an expression that has to match."""

    def add(self, id_: str, expression: str | None, condition: C) -> None:
        if expression is None:
            self._plain[id_] = condition
            return
        group = next((one for one in self._groups if len(one.members) < GROUP), None)
        if group is None:
            group = _Group()
            self._groups.append(group)
        group.add(id_, expression, condition)
        self._place[id_] = group

    def remove(self, id_: str) -> None:
        self._plain.pop(id_, None)
        group = self._place.pop(id_, None)
        if group is not None:
            group.remove(id_)
            if not group.members:
                self._groups.remove(group)

    def __iter__(self) -> Iterator[_Group[C]]:
        return iter(self._groups)

    @property
    def plain(self) -> Collection[C]:
        return self._plain.values()


class Index(Generic[C]):
    """Conditions by id."""

    def __init__(self) -> None:
        self._by_value: dict[tuple[str, str], dict[str, C]] = defaultdict(dict)
        self._by_name: dict[str, _Shelf[C]] = defaultdict(_Shelf)
        self._anywhere: dict[str, C] = {}
        self._filed: dict[str, tuple[str, frozenset[str]]] = {}
        """By id: the label and the values under which it is filed; no label: anywhere; no values: by name."""

    def put(self, id_: str, condition: C, values: Mapping[str, frozenset[str]] | None = None) -> None:
        """
        Args:
            values: of which labels the condition needs one of which values, beside its matchers.
        """
        self.remove(id_)
        needed = dict(values or {})
        for matcher in condition.matchers:
            literals = literals_of(matcher)
            if literals and (matcher.name not in needed or len(literals) < len(needed[matcher.name])):
                needed[matcher.name] = literals
        name = min(needed, key=lambda name: self._load(name, needed[name]), default="")
        if name:
            for value in needed[name]:
                self._by_value[name, value][id_] = condition
            self._filed[id_] = (name, needed[name])
            return
        named = _asks_for(condition.matchers)
        if named is None:
            self._anywhere[id_] = condition
        else:
            self._by_name[named.name].add(id_, named.value if named.operator == "=~" else None, condition)
        self._filed[id_] = (named.name if named else "", frozenset())

    def remove(self, id_: str) -> None:
        name, values = self._filed.pop(id_, ("", frozenset[str]()))
        for value in values:
            filed = self._by_value[name, value]
            del filed[id_]
            if not filed:
                del self._by_value[name, value]
        if not values and name:
            self._by_name[name].remove(id_)
        self._anywhere.pop(id_, None)

    def matching(self, labels: Mapping[str, str]) -> list[C]:
        """Those that match, in no order."""
        return [one for one in self._candidates(labels) if one.matches(labels)]

    def _candidates(self, labels: Mapping[str, str]) -> Iterable[C]:
        yield from self._anywhere.values()
        for name, value in labels.items():
            filed = self._by_value.get((name, value))
            if filed is not None:
                yield from filed.values()
            shelf = self._by_name.get(name)
            if shelf is None or not value:
                continue
            yield from shelf.plain
            for group in shelf:
                if group.may_match(value):
                    yield from (condition for _, condition in group.members.values())

    def _load(self, name: str, values: Collection[str]) -> int:
        """How many conditions share the places already: few are best."""
        return sum(1 + len(self._by_value.get((name, value), ())) for value in values)


def literals_of(matcher: Matcher) -> frozenset[str]:
    """The values of which a label must have one for the matcher to match; empty: that is not known."""
    if matcher.operator == "=":
        return frozenset({matcher.value}) if matcher.value else frozenset()
    if matcher.operator != "=~" or not _LITERALS.fullmatch(matcher.value):
        return frozenset()
    found = frozenset(matcher.value.split("|"))
    return found if len(found) <= MAX_VALUES else frozenset()


def _asks_for(matchers: Sequence[Matcher]) -> Matcher | None:
    """A matcher that needs its label; an expression that matches rather than one that does not."""
    needs = [matcher for matcher in matchers if not matcher.matches({})]
    return next((one for one in needs if one.operator == "=~"), needs[0] if needs else None)
