"""Short messages by an HTTP gateway or a program that drives a modem: each number settled by itself."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from urllib.parse import quote
from xml.sax.saxutils import escape as xml_escape

import orjson

from sentinel.config.receivers.sms import SmsSettings
from sentinel.incidents.book import one_line
from sentinel.model.pattern import Pattern
from sentinel.notify.http import Http, UnreachableError
from sentinel.notify.program import EX_DATAERR, program_problem, run_program
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.surroundings import Surroundings
from sentinel.rules.template import ExpansionError, Struct, Template, TemplateSyntaxError, parse_template

SHARE = 0.9
"""Of the time for one message that its numbers have in all."""
ACCEPTED = "accepted"
REFUSED = "refused"
_GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_DOUBLE = set("^{}\\[~]|€")
"""Source: 3GPP TS 23.038 §6.2.1: the default alphabet, and its extension by two septets each."""


class Sms:
    kind = "sms"

    def __init__(self, settings: SmsSettings, around: Surroundings) -> None:
        self._settings = settings
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        self._wording = around.wording(self.kind, settings)
        self._success = Pattern.of(settings.success) if settings.success else None
        self._http: Http | None = None
        if settings.command:
            problem = program_problem(settings.command, around.notify)
            if problem:
                raise OSError(problem)
            return
        assert settings.url is not None
        self._url = _parsed(settings.url.reveal(), "url")
        self._body = _parsed(settings.body.reveal(), "body") if settings.body else None
        headers = {name: value.reveal() for name, value in settings.headers.items()}
        secrets = [settings.url.reveal(), *headers.values()]
        self._http = Http(
            settings,
            url=settings.url.reveal(),
            guard=around.guard,
            now=around.now,
            secrets=secrets,
            headers=headers,
        )

    async def send(self, delivery: Delivery) -> Outcome:
        text = fitting(self._wording.text("text", delivery.facts, limit=4000), self._settings.parts)
        settled, later, refused = dict(delivery.recipients), [], []
        outcome = Outcome(Result.DELIVERED)
        # Before the sender's own deadline: that one would forget whose phone has rung already.
        until = asyncio.get_running_loop().time() + SHARE * self.timeout
        for number in dict.fromkeys(self._settings.to):
            if number in settled:
                continue
            outcome = await self._tell_by(until, number, text)
            if outcome.result is Result.DELIVERED:
                settled[number] = ACCEPTED
            elif outcome.result is Result.REFUSED:
                settled[number] = REFUSED
                refused.append(f"{number}: {outcome.detail}")
            else:
                later.append(f"{number}: {outcome.detail}")
                if outcome.is_unwell:
                    break
        if later:
            result = Result.RETRY
        else:
            result = Result.DELIVERED if ACCEPTED in settled.values() else Result.REFUSED
        detail = one_line("; ".join(later or refused) or outcome.detail, 200)
        return dataclasses.replace(
            outcome, result=result, detail=detail, recipients=settled, refused=tuple(refused)
        )

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    async def _tell_by(self, until: float, number: str, text: str) -> Outcome:
        try:
            async with asyncio.timeout_at(until):
                return await (self._by_gateway(number, text) if self._http else self._by_modem(number, text))
        except TimeoutError:
            return Outcome(Result.RETRY, "no answer in time", is_unwell=True)

    async def _by_gateway(self, number: str, text: str) -> Outcome:
        assert self._http is not None
        settings, content = self._settings, None
        try:
            url = _filled(self._url, number, text, lambda word: quote(word, safe=""))
            headers = {}
            if self._body is not None:
                content = _filled(self._body, number, text, _ENCODERS[settings.content_type]).encode()
                headers["Content-Type"] = f"{settings.content_type}; charset=utf-8"
            answer = await self._http.ask(url, content, method=settings.method, headers=headers)
        except ExpansionError as error:
            return Outcome(Result.RETRY, f"url or body: {error}", is_unwell=True)
        except UnreachableError as error:
            return Outcome(Result.RETRY, str(error), is_unwell=True)
        if answer.is_success and self._success is not None and not self._success.occurs_in(answer.text):
            return Outcome(Result.RETRY, self._http.detail(f"not successful: {answer.text}"))
        return self._http.judged(answer)

    async def _by_modem(self, number: str, text: str) -> Outcome:
        argv = [
            word.replace("{number}", number).replace("{text}", text) if place else word
            for place, word in enumerate(self._settings.command)
        ]
        try:
            ended = await run_program(argv, text.encode(), {"SENTINEL_NUMBER": number})
        except OSError as error:
            return Outcome(Result.RETRY, f"cannot start: {error.strerror}", is_unwell=True)
        detail = one_line(f"exit status {ended.status} {ended.said}", 200)
        if ended.status == 0:
            return Outcome(Result.DELIVERED, detail)
        return Outcome(Result.REFUSED if ended.status == EX_DATAERR else Result.RETRY, detail)


def fitting(text: str, parts: int) -> str:
    """One line that fills at most so many short messages; the end is left out.

    Source: 3GPP TS 23.040 §9.2.3.24.1: 160 septets or 70 UCS-2 characters alone, 153 or 67 in each of several.
    """
    line = one_line(text, 4000)
    while _parts_of(line) > parts:
        line = line[:-2].rstrip() + "…" if line.endswith("…") else line[:-1].rstrip() + "…"
        if not set(line[:-1]) - _GSM - _GSM_DOUBLE:
            line = line[:-1] + "."  # the ellipsis alone would halve the room
            if _parts_of(line) > parts:
                line = line[:-1]
    return line


def _parts_of(line: str) -> int:
    if not set(line) - _GSM - _GSM_DOUBLE:
        length = len(line) + sum(char in _GSM_DOUBLE for char in line)
        alone, each = 160, 153
    else:
        length = len(line.encode("utf-16-be")) // 2
        alone, each = 70, 67
    return 1 if length <= alone else -(-length // each)


def _in_json(word: str) -> str:
    return orjson.dumps(word).decode()[1:-1]


_ENCODERS: dict[str, Callable[[str], str]] = {
    "application/json": _in_json,
    "application/x-www-form-urlencoded": lambda word: quote(word, safe=""),
    "application/xml": lambda word: xml_escape(word, {'"': "&quot;", "'": "&apos;"}),
    "text/plain": lambda word: word,
}


def _parsed(text: str, name: str) -> Template:
    """
    Raises:
        OSError: not a template; the text is not repeated, as it may hold a secret.
    """
    try:
        template = parse_template(text)
        _filled(template, "0", "text", str)
    except (TemplateSyntaxError, ExpansionError) as error:
        raise OSError(f"{name} is not a template: {error}") from None
    return template


def _filled(template: Template, number: str, text: str, encode: Callable[[str], str]) -> str:
    data = Struct({"Number": encode(number), "Text": encode(text)})
    return template.expand(data, {}, _no_queries)


def _no_queries(expression: str) -> list[Struct]:
    raise ExpansionError("messages cannot query")
