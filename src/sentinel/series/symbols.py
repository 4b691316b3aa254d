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
