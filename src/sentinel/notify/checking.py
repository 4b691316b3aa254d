"""What is wrong with receivers beyond their keys: templates, certificates, programs, addresses."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from sentinel.config.document import Document
from sentinel.config.document import Path as Place
from sentinel.config.receivers import AnyReceiver, TemplateSource
from sentinel.config.settings import Settings
from sentinel.model.problem import Problem, UnusableError, did_you_mean
from sentinel.notify.receivers import KINDS
from sentinel.notify.sample import sample_facts
from sentinel.notify.story import Teller
from sentinel.notify.surroundings import Surroundings, template_text
from sentinel.notify.wording import expanded, names_of
from sentinel.rules.template import ExpansionError, Template, TemplateSyntaxError, parse_template

EVENTS = ("firing", "acknowledged", "resolved")
_MISSING_FIELD = re.compile(r"there is no field (\w+)")


def receiver_problems(settings: Settings, document: Document, folder: Path) -> Iterator[Problem]:
    """Every problem, at its place; template files have places of their own.

    Args:
        folder: where names of template files start.
    """
    daemon = settings.daemon
    around = Surroundings(time.time, daemon.language, daemon.timezone, settings.notify, folder)
    for index, receiver in enumerate(settings.receiver):
        place = ("receiver", index)
        found = list(_templates(receiver, document, place, around))
        yield from found
        if found:
            continue
        try:
            KINDS[receiver.kind](receiver, around)
        except OSError as error:
            text = f"receiver '{receiver.name}' cannot be used: {error.strerror or error}"
            file = f" ({error.filename})" if error.filename else ""
            yield document.problem((*place, "name"), text + file, value=True)


def _templates(
    receiver: AnyReceiver, document: Document, place: Place, around: Surroundings
) -> Iterator[Problem]:
    known = names_of(receiver.kind)
    for name, source in receiver.templates.items():
        where = (*place, "templates", name)
        if name not in known:
            hint = did_you_mean(name, known) or f" (known: {', '.join(known) or 'none'})"
            yield document.problem(where, f"{receiver.kind} has no template '{name}'{hint}")
            continue
        try:
            text = template_text(source, around.folder)
        except UnusableError as error:
            yield document.problem(where, f"{name}: {error}", value=True)
            continue
        try:
            _try(parse_template(text, ("$externalURL",)), receiver, around)
        except TemplateSyntaxError as error:
            yield _at(error.offset, error.text, text, source, around.folder) or document.problem_in(
                where, text, error.offset, error.text
            )
        except ExpansionError as error:
            offset = _offset_of(str(error), text)
            yield _at(offset, str(error), text, source, around.folder) or document.problem_in(
                where, text, offset, str(error)
            )


def _try(template: Template, receiver: AnyReceiver, around: Surroundings) -> None:
    """
    Raises:
        ExpansionError: it would fail with a message of some kind.
    """
    teller = Teller(receiver.name, receiver.language or around.language, around.zone)
    for event in EVENTS:
        facts = sample_facts(event, at=0.0, external_url="https://sentinel.example.org")
        expanded(template, teller.story(facts))


def _offset_of(error: str, text: str) -> int:
    """Where the field stands that there is not; the error itself knows only its name."""
    missing = _MISSING_FIELD.search(error)
    found = re.search(rf"\.{missing[1]}\b", text) if missing else None
    return found.start() if found else 0


def _at(offset: int, what: str, text: str, source: TemplateSource, folder: Path) -> Problem | None:
    """The problem in the template's own file; None: it has none, it stands in the configuration."""
    if not source.file:
        return None
    before = text[:offset]
    line, column = before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1
    return Problem(str(folder / source.file), line, column, what)
