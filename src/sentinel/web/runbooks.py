"""Runbooks: Markdown as people write it for a colleague at night, read into blocks that templates escape.

Headings, paragraphs, lists, fenced code, and inside a line `code`, **strong** and [links](…); the rest is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from markupsafe import Markup, escape

from sentinel.web.addresses import is_safe_address

MAX_BYTES = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_SPAN = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\(([^()\s]+)\)")
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_BULLET = re.compile(r"\s*[-*]\s+(.*)")
_STEP = re.compile(r"\s*\d+[.)]\s+(.*)")


@dataclass(slots=True)
class Block:
    """One piece of a runbook."""

    kind: Literal["heading", "paragraph", "list", "steps", "code"]
    text: str = ""
    """Of headings, paragraphs and code."""
    level: int = 0
    points: list[str] = field(default_factory=list)
    """Of lists and steps."""


class Runbooks:
    """The runbooks in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> str | None:
        """Text of the runbook NAME.md, or None; the name is never a path."""
        name = name.removesuffix(".md")
        if not _NAME.fullmatch(name):
            return None
        path = self._folder / f"{name}.md"
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        return path.read_text(encoding="utf-8", errors="replace")


def parse_blocks(text: str) -> list[Block]:
    """A runbook's blocks in order."""
    blocks: list[Block] = []
    code: Block | None = None
    may_go_on = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            code = None if code else Block("code")
            if code:
                blocks.append(code)
            may_go_on = False
        elif code:
            code.text += line + "\n"
        elif not line.strip():
            may_go_on = False
        else:
            _take(blocks, line, may_go_on=may_go_on)
            may_go_on = not _HEADING.fullmatch(line)
    return blocks


def _take(blocks: list[Block], line: str, *, may_go_on: bool) -> None:
    last = blocks[-1] if blocks else Block("paragraph")
    if heading := _HEADING.fullmatch(line):
        blocks.append(Block("heading", heading[2], len(heading[1])))
    elif point := _BULLET.fullmatch(line):
        _add_point(blocks, last, Block("list"), point[1])
    elif point := _STEP.fullmatch(line):
        _add_point(blocks, last, Block("steps"), point[1])
    elif may_go_on and last.points:
        last.points[-1] += " " + line.strip()
    elif may_go_on and last.kind == "paragraph":
        last.text += " " + line.strip()
    else:
        blocks.append(Block("paragraph", line.strip()))


def _add_point(blocks: list[Block], last: Block, fresh: Block, text: str) -> None:
    if last.kind != fresh.kind:
        blocks.append(fresh)
        last = fresh
    last.points.append(text)


def render_spans(text: str) -> Markup:
    """A line with its code, strong words and safe links; everything else escaped."""
    return Markup("").join(_spans(text))


def _spans(text: str) -> Iterable[Markup]:
    end = 0
    for match in _SPAN.finditer(text):
        yield escape(text[end : match.start()])
        code, strong, label, address = match.groups()
        if code is not None:
            yield Markup("<code>{}</code>").format(code)
        elif strong is not None:
            yield Markup("<strong>{}</strong>").format(strong)
        elif is_safe_address(address):
            yield Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(address, label)
        else:
            yield escape(match[0])
        end = match.end()
    yield escape(text[end:])
