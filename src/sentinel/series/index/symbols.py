"""Label texts as small integers: one table for the whole head."""

from __future__ import annotations

from typing import Final

ABSENT_LABEL: Final = 0
"""Code of the empty text: as in Prometheus, a label with an empty value does not exist."""


class Symbols:
    """Texts and their codes. Codes are never reused: a table that has grown stale is replaced as a whole."""

    __slots__ = ("_codes", "_texts")

    def __init__(self) -> None:
        self._texts = [""]
        self._codes = {"": ABSENT_LABEL}

    def __len__(self) -> int:
        return len(self._texts)

    def code(self, text: str) -> int:
        """The text's code, made if it has none yet."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return code

    def find(self, text: str) -> int | None:
        return self._codes.get(text)

    def text(self, code: int) -> str:
        return self._texts[code]


class Overlay(Symbols):
    """A table over another that it leaves as it is: for one thread, while the other grows in its own."""

    __slots__ = ("_base", "_size")

    def __init__(self, base: Symbols) -> None:
        self._base = base
        self._size = len(base)
        self._texts = []
        self._codes = {}

    def __len__(self) -> int:
        return self._size + len(self._texts)

    def code(self, text: str) -> int:
        code = self.find(text)
        if code is None:
            code = self._codes[text] = len(self)
            self._texts.append(text)
        return code

    def find(self, text: str) -> int | None:
        own = self._codes.get(text)
        if own is not None:
            return own
        code = self._base.find(text)
        return code if code is not None and code < self._size else None

    def text(self, code: int) -> str:
        return self._base.text(code) if code < self._size else self._texts[code - self._size]
