"""Figures as PNG, with Pillow. Lines are drawn at twice the size and reduced, which makes them smooth."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sentinel.incidents.book import one_line
from sentinel.notify.chart.figure import Curve, Figure, short

WIDTH, HEIGHT = 600, 240
"""In a mail; the picture has twice as many pixels for dense screens."""
_SCALE: Final = 2
_FINE: Final = 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 16, 34, 28
_LEGEND: Final = 16
"""Height of one line of the legend."""

MAX_WORDS: Final = 400
"""Characters of one text; what has no room is cut."""

PAPER, EDGE, GRID = "#f6f8fa", "#c5ccd6", "#dfe4ea"
INK, FAINT = "#1c2430", "#566070"
ALARM, FIRING = "#b3261e", "#f7dcd9"
COLOURS: Final = ("#1f5fa8", "#b25e02", "#1b7f5c", "#7b3fa0")

_CHINESE: Final = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
)
"""Fonts of Debian, Fedora and Arch that have Chinese."""


def has_chinese() -> bool:
    """There is a font for it."""
    return _chinese_font() is not None


def draw(figure: Figure) -> bytes:
    """A PNG of 2 · WIDTH × 2 · HEIGHT pixels, higher where there is a legend.

    Raises:
        ImportError: Pillow is not there.
    """
    from PIL import Image, ImageDraw

    legend = _LEGEND * len(figure.curves) + 6 if len(figure.curves) > 1 else 0
    height = HEIGHT + legend
    canvas = Canvas(figure, height - _BOTTOM - legend)
    large = Image.new("RGB", (WIDTH * _SCALE * _FINE, height * _SCALE * _FINE), PAPER)
    canvas.lines(ImageDraw.Draw(large), height)
    picture = large.reduce(_FINE)
    canvas.words(ImageDraw.Draw(picture))
    out = io.BytesIO()
    picture.quantize(64).save(out, "PNG", optimize=True)
    return out.getvalue()


class Canvas:
    """Places in the picture, in the mail's pixels."""

    def __init__(self, figure: Figure, bottom: float) -> None:
        self._figure = figure
        self._bottom = bottom
        self._low, self._high = figure.bounds

    def lines(self, pen: Any, height: float) -> None:
        figure, fine = self._figure, _SCALE * _FINE
        pen.rounded_rectangle(
            _fine((0.5, 0.5), (WIDTH - 0.5, height - 0.5)), radius=6 * fine, outline=EDGE, width=fine
        )
        self._firing(pen)
        for value in figure.value_ticks:
            y = self._y(value)
            pen.line(_fine((_LEFT, y), (WIDTH - _RIGHT, y)), fill=GRID, width=fine)
        for at, _ in figure.time_ticks:
            x = self._x(at)
            pen.line(_fine((x, self._bottom), (x, self._bottom + 4)), fill=EDGE, width=fine)
        pen.line(_fine((_LEFT, self._bottom), (WIDTH - _RIGHT, self._bottom)), fill=EDGE, width=fine)
        if figure.threshold is not None:
            y, x = self._y(figure.threshold), float(_LEFT)
            while x < WIDTH - _RIGHT:
                pen.line(_fine((x, y), (min(x + 6, WIDTH - _RIGHT), y)), fill=ALARM, width=round(1.5 * fine))
                x += 10
        for curve, colour in reversed(list(zip(figure.curves, COLOURS, strict=False))):
            self._curve(pen, curve, colour)
        for number, colour in enumerate(COLOURS[: len(figure.curves)] if len(figure.curves) > 1 else ()):
            y = self._legend_y(number)
            pen.line(_fine((_LEFT, y), (_LEFT + 18, y)), fill=colour, width=3 * fine)

    def words(self, pen: Any) -> None:
        figure = self._figure
        room = WIDTH - _LEFT - _RIGHT
        _write(pen, (16, 18), figure.title, Ink(13, INK, "lm"), room=WIDTH - 32)
        limit = self._y(figure.threshold) if figure.threshold is not None else None
        for value in figure.value_ticks:
            y = self._y(value)
            if limit is None or abs(y - limit) > 11:
                _write(pen, (_LEFT - 8, y), short(value), Ink(11, FAINT, "rm"), room=_LEFT - 12)
        if figure.threshold is not None and limit is not None:
            _write(pen, (_LEFT - 8, limit), short(figure.threshold), Ink(11, ALARM, "rm"), room=_LEFT - 12)
        for at, text in figure.time_ticks:
            if _LEFT <= self._x(at) <= WIDTH - _RIGHT:
                _write(pen, (self._x(at), self._bottom + 14), text, Ink(11, FAINT, "mm"), room=60)
        if figure.fired_at is not None and figure.start <= figure.fired_at <= figure.end:
            x = self._x(figure.fired_at)
            is_left = x > WIDTH - _RIGHT - 70
            place = (x - 5 if is_left else x + 5, _TOP + 8.0)
            ink = Ink(11, ALARM, "rm" if is_left else "lm", halo=2)
            _write(pen, place, figure.fired_word, ink, room=200)
        for number, curve in enumerate(figure.curves if len(figure.curves) > 1 else ()):
            place = (_LEFT + 26, self._legend_y(number))
            _write(pen, place, curve.name, Ink(11, INK, "lm"), room=room - 26)

    def _firing(self, pen: Any) -> None:
        """The time for which the alert fired."""
        figure = self._figure
        if figure.fired_at is None:
            return
        begin = max(figure.fired_at, figure.start)
        end = min(figure.ended_at if figure.ended_at is not None else figure.end, figure.end)
        if begin < end:
            pen.rectangle(_fine((self._x(begin), _TOP), (self._x(end), self._bottom)), fill=FIRING)
        if figure.start <= figure.fired_at <= figure.end:
            x = self._x(figure.fired_at)
            pen.line(_fine((x, _TOP), (x, self._bottom)), fill=ALARM, width=_SCALE * _FINE)

    def _curve(self, pen: Any, curve: Curve, colour: str) -> None:
        fine = _SCALE * _FINE
        for times, values in curve.pieces(self._figure.step):
            points = [
                (self._x(at) * fine, self._y(value) * fine)
                for at, value in zip(times.tolist(), values.tolist(), strict=True)
            ]
            if len(points) > 1:
                pen.line(points, fill=colour, width=2 * fine, joint="curve")
            x, y = points[-1]
            pen.ellipse((x - fine, y - fine, x + fine, y + fine), fill=colour)

    def _x(self, at: float) -> float:
        figure = self._figure
        return _LEFT + (at - figure.start) / (figure.end - figure.start) * (WIDTH - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        return self._bottom - (value - self._low) / (self._high - self._low) * (self._bottom - _TOP)

    def _legend_y(self, number: int) -> float:
        return self._bottom + _BOTTOM + _LEGEND * number + 7


def _fine(*points: tuple[float, float]) -> list[float]:
    return [one * _SCALE * _FINE for point in points for one in point]


@dataclass(frozen=True, slots=True)
class Ink:
    """How words are written."""

    size: float
    colour: str
    anchor: str
    """Pillow's: which point of the text stands at the place; "lm" is left and middle."""
    halo: float = 0.0
    """Width of paper around the letters, for words that lie over lines."""


def _write(pen: Any, place: tuple[float, float], text: str, ink: Ink, *, room: float) -> None:
    text = one_line(text, MAX_WORDS)
    font = _font(ink.size * _SCALE, is_chinese=not is_latin(text))
    text = text if font is not None and not is_latin(text) and has_chinese() else _latin(text)
    while len(text) > 1 and pen.textlength(text, font=font) > room * _SCALE:
        text = text[: max(1, len(text) - 4)].rstrip(" ,…") + "…"
    pen.text(
        (place[0] * _SCALE, place[1] * _SCALE),
        text,
        fill=ink.colour,
        font=font,
        anchor=ink.anchor,
        stroke_width=ink.halo * _SCALE,
        stroke_fill=PAPER,
    )


def is_latin(text: str) -> bool:
    return all(ord(char) < 0x180 or char in "…–—" for char in text)


def _latin(text: str) -> str:
    """What has no font here is left blank, each run of it as one sign."""
    out: list[str] = []
    for char in text:
        plain = char if is_latin(char) else "·"
        if plain != "·" or out[-1:] != ["·"]:
            out.append(plain)
    return "".join(out)


@lru_cache(maxsize=16)
def _font(size: float, *, is_chinese: bool) -> Any:
    from PIL import ImageFont

    path = _chinese_font() if is_chinese else None
    return ImageFont.truetype(path, size) if path is not None else ImageFont.load_default(size)


@lru_cache(maxsize=1)
def _chinese_font() -> str | None:
    return next((path for path in _CHINESE if Path(path).is_file()), None)
