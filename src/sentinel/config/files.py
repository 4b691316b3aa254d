"""Reading the files that people write."""

from __future__ import annotations

from pathlib import Path

from sentinel.model.problem import Problem, UnusableError

MAX_FILE_BYTES = 16 * 1024 * 1024


def read_text(path: Path) -> str:
    """A file that people write.

    Raises:
        UnusableError: unreadable, too large, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UnusableError([Problem(str(path), 0, 0, f"cannot be read: {error.strerror}")]) from None
    if len(content) > MAX_FILE_BYTES:
        raise UnusableError([Problem(str(path), 0, 0, f"larger than {MAX_FILE_BYTES} bytes")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        raise UnusableError([Problem(str(path), line, column, "not UTF-8 text")]) from None
