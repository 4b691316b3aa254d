"""What devices of a kind have in common is kept once, for as long as somebody uses it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Common(Generic[K, V]):
    """Values by what they are made of; counts their users."""

    def __init__(self) -> None:
        self._kept: dict[K, tuple[K, V, int]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, key: K, make: Callable[[K], V]) -> V:
        """The value for this key, made where nobody uses it yet. Give it back by `release`.

        Args:
            make: gets the key that is kept, which is an equal one.
        """
        kept, value, users = self._kept.get(key) or (key, make(key), 0)
        self._kept[kept] = (kept, value, users + 1)
        return value

    def release(self, key: K) -> None:
        kept, value, users = self._kept[key]
        if users > 1:
            self._kept[kept] = (kept, value, users - 1)
        else:
            del self._kept[kept]
