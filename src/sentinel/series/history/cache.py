"""What was read lately, up to a limit of memory; shared by the threads that read."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from threading import Lock
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class Cache(Generic[Thing]):
    def __init__(self, limit: int, weight: Callable[[Thing], int]) -> None:
        self._limit = limit
        self._weight = weight
        self._lock = Lock()
        self._held: dict[Hashable, Thing] = {}
        self.total = 0

    def get(self, key: Hashable, make: Callable[[], Thing]) -> Thing:
        """The thing of that key, made if it is not there; two threads may make the same one."""
        with self._lock:
            found = self._held.pop(key, None)
            if found is not None:
                # Back at the end: the dictionary's order is that of last use.
                self._held[key] = found
                return found
        made = make()
        return self._put(key, made)

    def peek(self, key: Hashable) -> Thing | None:
        """The thing of that key if it is there."""
        with self._lock:
            return self._held.get(key)

    def _put(self, key: Hashable, made: Thing) -> Thing:
        weight = self._weight(made)
        if weight > self._limit:
            return made
        with self._lock:
            if key not in self._held:
                self.total += weight
            self._held[key] = made
            while self.total > self._limit:
                self.total -= self._weight(self._held.pop(next(iter(self._held))))
        return made
