"""Interface numbers that last: a device may renumber its interfaces at a restart, its names stay.

Series carry the number (label ifIndex) under which an interface of that name was first seen, whatever number it has
now. So a series goes on, and an alert with it. See docs/adr/0004-interface-numbers.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"
"""ifName (IF-MIB, RFC 2863)."""
IF_INDEX = "ifIndex"
"""The index label that carries an interface's number."""

MOST_GONE = 1000
"""Names remembered of interfaces that a device no longer has."""

LONGEST_NAME = 255
"""Characters of an ifName (a DisplayString, RFC 2579); longer ones are no names and tell nothing."""


class Interfaces:
    """What one device called its interfaces, and the numbers they are known by."""

    __slots__ = ("_changed", "_known")

    def __init__(
        self, known: Mapping[str, int] | None = None, *, changed: Callable[[], None] = lambda: None
    ) -> None:
        """
        Args:
            known: what was remembered of them before.
            changed: called when that is no longer so.
        """
        self._known = dict(known or {})
        """Name → number that its series carry; those seen last stand at the end."""
        self._changed = changed

    @property
    def known(self) -> Mapping[str, int]:
        """Name → number that its series carry; those seen last stand at the end."""
        return self._known

    def numbers(self, names: Mapping[int, str]) -> dict[int, int]:
        """The number to show for each present one; different ones for different interfaces.

        Args:
            names: ifName by present ifIndex. Empty names, and names that several interfaces have, tell nothing.
        """
        counts: dict[str, int] = {}
        for name in names.values():
            counts[name] = counts.get(name, 0) + 1
        telling = {
            index: name
            for index, name in names.items()
            if 0 < len(name) <= LONGEST_NAME and counts[name] == 1
        }
        shown: dict[int, int] = {}
        taken: set[int] = set()
        for index, name in telling.items():
            number = self._known.get(name)
            if number is not None and number not in taken:
                shown[index] = number
                taken.add(number)
        strangers = [index for index in names if index not in shown]
        # Its own number first; where an older acquaintance shows that one, a number that nobody shows.
        for index in [*strangers]:
            if index not in taken:
                shown[index] = index
                taken.add(index)
                strangers.remove(index)
        free = iter([index for index in sorted(names) if index not in taken])
        for index in strangers:
            shown[index] = next(free)
        is_changed = False
        for index, name in telling.items():
            is_changed |= self._known.pop(name, None) != shown[index]
            self._known[name] = shown[index]
        for name in list(self._known)[: max(len(self._known) - len(telling) - MOST_GONE, 0)]:
            del self._known[name]
        if is_changed:
            self._changed()
        return shown
