"""What a terminal would show: text from a device without its cursor movements, and where its last line stands."""

from __future__ import annotations

import codecs
import re
from typing import Final

MAX_TEXT: Final = 4 * 1024 * 1024
"""Characters that one command may print."""

MAX_LINE: Final = 65_536

_SPECIAL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SEQUENCE: Final = re.compile(
    r"\x1b(?:\[([0-9;?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()#%][0-9A-Za-z]|[^\[\]()#%])"
)
_LONGEST_SEQUENCE: Final = 256


class Screen:
    """Lines as they stand after backspaces, carriage returns and erasures. Nothing else in the text acts."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        """Whole lines since the last clear."""
        self.has_overflowed = False
        self._line: list[str] = [""]
        self._cursor: int | None = None
        """Where the next character goes; None: after the last one."""
        self._kept = 0
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def last(self) -> str:
        """The line that is not ended yet."""
        if len(self._line) > 1:
            self._line = ["".join(self._line)]
        return self._line[0]

    @property
    def text(self) -> str:
        """All whole lines."""
        return "".join(f"{line}\n" for line in self.lines)

    def clear(self) -> None:
        """Forget all lines, the last one too."""
        self.lines, self._line, self._cursor, self._kept = [], [""], None, 0
        self.has_overflowed = False

    def feed(self, data: bytes) -> None:
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        place = 0
        while place < len(text) and not self.has_overflowed:
            special = _SPECIAL.search(text, place)
            end = special.start() if special else len(text)
            if end > place:
                self._write(text[place:end])
            if special is None or self.has_overflowed:
                return
            place = self._act(text, end)
            if place < 0:
                self._rest = text[end:]
                return

    def _act(self, text: str, place: int) -> int:
        """One control character; where to go on, −1 where the rest of a sequence is yet to come."""
        character = text[place]
        if character == "\n":
            self._end_line()
        elif character == "\r":
            self._cursor = 0
        elif character == "\b":
            self._cursor = max((len(self.last) if self._cursor is None else self._cursor) - 1, 0)
        elif character == "\x1b":
            sequence = _SEQUENCE.match(text, place)
            if sequence is None:
                return -1 if len(text) - place < _LONGEST_SEQUENCE else place + 1
            self._move(sequence[1] or "", sequence[2] or "")
            return sequence.end()
        return place + 1

    def _move(self, numbers: str, command: str) -> None:
        line = self.last
        cursor = len(line) if self._cursor is None else self._cursor
        count = int(numbers) if numbers.isdecimal() and len(numbers) < 6 else 1
        if command == "D":
            self._cursor = max(cursor - count, 0)
        elif command == "C":
            self._cursor = min(cursor + count, len(line))
        elif command == "G":
            self._cursor = min(max(count - 1, 0), len(line))
        elif command == "K":
            kept = "" if numbers in ("1", "2") else line[:cursor]
            self._line, self._cursor = [kept], None

    def _write(self, text: str) -> None:
        self._kept += len(text)
        if self._cursor is None:
            self._line.append(text)
        else:
            line = self.last
            end = self._cursor + len(text)
            self._line = [line[: self._cursor] + text + line[end:]]
            self._cursor = end if end < len(line) else None
        if self._kept > MAX_TEXT or (len(self._line) > 64 and len(self.last) > MAX_LINE):
            self.has_overflowed = True
            self.lines, self._line, self._cursor = [], [""], None

    def _end_line(self) -> None:
        self.lines.append(self.last.rstrip())
        self._line, self._cursor = [""], None
        self._kept += 1
