"""From values to HTML: the templates, with autoescape, and the few filters they use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sentinel.model.durations import format_duration
from sentinel.model.incident import Grade
from sentinel.web.addresses import safe_link
from sentinel.web.assets import Assets
from sentinel.web.board import Board
from sentinel.web.live import digest
from sentinel.web.runbooks import render_spans
from sentinel.web.seams.faces import Site
from sentinel.web.texts import LANGUAGES, translator

FOLDER = Path(__file__).parent / "templates"
REGIONS = ("summary", "incidents", "wall")
GLYPHS = {
    "ok": "●",
    "up": "●",
    "down": "✕",
    "critical": "▲",
    "firing": "▲",
    "warning": "△",
    "partial": "◐",
    "unknown": "?",
    "waiting": "○",
    "pending": "◔",
    "inactive": "○",
}
"""The shape of each state, so that colour alone tells nothing."""


class Rendering:
    """The pages and the live regions in them."""

    def __init__(self, site: Site, assets: Assets) -> None:
        self._site = site
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "moment": self._moment,
            "clock": self._clock,
            "link": safe_link,
            "spans": render_spans,
            "figure": figure,
            "duration": format_duration,
            "segment": lambda text: quote(text, safe="", errors="replace"),
        }
        self._environment.globals |= {
            "asset": assets.url,
            "glyphs": GLYPHS,
            "grades": tuple(Grade),
            "languages": LANGUAGES,
        }

    def regions(self, board: Board, language: str) -> Mapping[str, str]:
        """The overview's live regions."""
        return {name: self._render(f"regions/{name}.html", language, board=board) for name in REGIONS}

    def overview(self, board: Board, language: str, *, now: float) -> str:
        regions = self.regions(board, language)
        shown = {name: Markup(html) for name, html in regions.items()}  # noqa: S704  our own rendered templates
        return self._render("overview.html", language, regions=shown, seen=digest(regions), now=now)

    def page(self, template: str, language: str, **values: Any) -> str:
        return self._render(template, language, **values)

    def _render(self, path: str, language: str, **values: Any) -> str:
        template = self._environment.get_template(path)
        return template.render(_=translator(language), language=language, **values)

    def _moment(self, at: float | None) -> Markup:
        """An instant as <time>: the page's script shows the age, the absolute time stays as its title."""
        moment = _local(at, self._site.timezone)
        if moment is None:
            return Markup("<span>–</span>")
        absolute, machine = moment.strftime("%Y-%m-%d %H:%M:%S %Z"), moment.isoformat(timespec="seconds")
        text = moment.strftime("%m-%d %H:%M")
        return Markup('<time datetime="{}" title="{}" data-at="{:.0f}">{}</time>').format(
            machine, absolute, at, text
        )

    def _clock(self, at: float) -> Markup:
        """An instant as <time> that stays absolute."""
        moment = _local(at, self._site.timezone)
        if moment is None:
            return Markup("<span>–</span>")
        absolute, machine = moment.strftime("%Y-%m-%d %H:%M:%S %Z"), moment.isoformat(timespec="seconds")
        text = moment.strftime("%m-%d %H:%M:%S")
        return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, absolute, text)


def figure(value: float) -> str:
    """A number for people: at most six digits."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value)}"
    return f"{value:.6g}"


def _local(at: float | None, zone: ZoneInfo) -> datetime | None:
    if at is None:
        return None
    try:
        return datetime.fromtimestamp(at, zone)
    except (ValueError, OverflowError, OSError):
        return None
