"""Makes the words of devices and people plain text in each service's markup, so that none of it links or calls."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

Escape = Callable[[str], str]

_LOOKALIKES = str.maketrans({"<": "＜", ">": "＞", "[": "［", "]": "］"})
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def as_it_is(text: str) -> str:
    return text


def markdown(text: str) -> str:
    """For the markdown of chat services, which agree on no escape: links, tags and mentions lose their brackets."""
    return text.translate(_LOOKALIKES)


def entities(text: str) -> str:
    """For Slack's mrkdwn and Telegram's HTML.

    Source: Slack, "Formatting text for app surfaces", Escaping text; Telegram Bot API, "HTML style".
    """
    return text.translate(_ENTITIES)


def markup(text: str) -> str:
    """For HTML, attributes included."""
    return escape(text, quote=True)
