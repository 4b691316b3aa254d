"""Logs: one line per change of state, a constant message and its facts as key=value."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Mapping

_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+")
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
MAX_FACT = 1000


class LineFormatter(logging.Formatter):
    """`time level room: message key=value …`, one line whatever the facts contain.

    Under the journal the time and level are left to it: lines start with a priority such as <4>.
    """

    def __init__(self, *, journal: bool) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", None)
        text = f"{record.name.removeprefix('sentinel.')}: {record.getMessage()}{_facts(facts)}"
        text = text.replace("\n", "\\n").replace("\r", "\\r")
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if self._journal:
            priority = _PRIORITIES.get(record.levelno, 6)
            return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))
        stamp = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}"
        return f"{stamp} {record.levelname.lower():7} {text}"


def set_up_logs(level: str) -> None:
    """Send the log of every room to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(journal="JOURNAL_STREAM" in os.environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("asyncssh", "httpx", "httpcore", "aiosqlite", "apscheduler", "alembic", "uvicorn"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _facts(facts: Mapping[str, object] | None) -> str:
    if not facts:
        return ""
    return "".join(f" {key}={_value(value)}" for key, value in facts.items())


def _value(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if len(text) > MAX_FACT:
        text = text[:MAX_FACT] + "…"
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
