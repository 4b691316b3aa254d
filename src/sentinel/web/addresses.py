"""Addresses that rules and devices bring along: followed only where they can do nothing but load a page."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from markupsafe import Markup

_PLAIN_PATH = re.compile(r"/?[A-Za-z0-9_.-][A-Za-z0-9_./-]*(?:[?#][A-Za-z0-9_./?#=&%-]*)?")


def safe_link(text: str) -> Markup | str:
    """A link where the text is an http, https or relative address; anything else stays text.

    A relative address such as runbooks/HostDown starts at the root, whatever page it is shown on.
    """
    text = text.strip()
    if not is_safe_address(text):
        return text
    address = text if urlsplit(text).scheme or text.startswith("/") else f"/{text}"
    return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(address, text)


def is_safe_address(text: str) -> bool:
    """Whether a browser that follows the address only ever loads a page.

    Browsers drop control characters and white space inside an address, so none may be there.
    """
    if not text or any(char.isspace() or ord(char) < 32 for char in text):
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    if parts.scheme:
        return parts.scheme in ("http", "https") and bool(parts.netloc) and "\\" not in text
    return bool(_PLAIN_PATH.fullmatch(text)) and not text.startswith("//")
