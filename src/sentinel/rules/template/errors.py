"""What can go wrong with a template."""

from __future__ import annotations


class TemplateSyntaxError(Exception):
    """The template cannot be used; `offset` counts characters from its start."""

    def __init__(self, offset: int, text: str) -> None:
        super().__init__(text)
        self.offset = offset
        self.text = text


class ExpansionError(Exception):
    """This expansion failed: a wrong type, a failing query, or too much work."""
