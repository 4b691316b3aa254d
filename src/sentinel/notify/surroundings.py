"""What receivers are built with besides their own settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from sentinel.config.files import read_text
from sentinel.config.receivers import NotifySettings, Receiver, TemplateSource
from sentinel.notify.chart.charts import Drawing
from sentinel.notify.escape import Escape, as_it_is
from sentinel.notify.guard import Guard
from sentinel.notify.story import Teller
from sentinel.notify.texts import Language
from sentinel.notify.wording import Wording
from sentinel.rules.template import Template, TemplateSyntaxError, parse_template


@dataclass(frozen=True)
class Surroundings:
    now: Callable[[], float]
    """Unix seconds."""
    language: Language
    zone: ZoneInfo
    notify: NotifySettings = field(default_factory=NotifySettings)
    folder: Path = Path()
    """Where files of templates start."""
    drawing: Drawing | None = None
    """Who draws charts for mails; None: nobody."""

    @cached_property
    def guard(self) -> Guard:
        return Guard(self.notify.networks)

    def teller(self, settings: Receiver, escape: Escape = as_it_is) -> Teller:
        return Teller(settings.name, settings.language or self.language, self.zone, escape)

    def wording(self, kind: str, settings: Receiver, escape: Escape = as_it_is) -> Wording:
        """
        Raises:
            OSError: a template cannot be used; sentinel check says more.
        """
        return Wording(kind, self.teller(settings, escape), self.templates(settings))

    def templates(self, settings: Receiver) -> Mapping[str, Template]:
        try:
            return {
                name: parse_template(template_text(source, self.folder), ("$externalURL",))
                for name, source in settings.templates.items()
            }
        except TemplateSyntaxError as error:
            raise OSError(f"a template is wrong: {error.text}") from None


def template_text(source: TemplateSource, folder: Path) -> str:
    """
    Raises:
        UnusableError: the file cannot be read.
    """
    return read_text(folder / source.file) if source.file else source.text
