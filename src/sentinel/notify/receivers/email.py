"""Email by SMTP, one transaction per message: every recipient's answer counts for that recipient alone."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from email.utils import parseaddr

import aiosmtplib
from aiosmtplib import SMTPResponse

from sentinel.config.receivers.mail import EmailSettings, split_smarthost
from sentinel.incidents.book import one_line
from sentinel.notify.chart.charts import Chart
from sentinel.notify.escape import markup
from sentinel.notify.letter import Letters
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.redaction import Redaction
from sentinel.notify.surroundings import Surroundings

MAX_DETAIL = 200
CHART_SHARE = 0.25
"""Of the time for a send, what a picture may take."""
ACCEPTED = "accepted"
REFUSED = "refused"


class Email:
    kind = "email"

    def __init__(self, settings: EmailSettings, around: Surroundings) -> None:
        self._settings = settings
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        self._now = around.now
        self._guard = around.guard
        self._host, self._port = split_smarthost(settings.smarthost)
        self._guard.check(self._host)
        self._drawing = around.drawing if settings.chart else None
        self._letters = Letters(
            language=settings.language or around.language,
            zone=around.zone,
            wording=around.wording(self.kind, settings),
            html_wording=around.wording(self.kind, settings, markup),
        )
        self._tls = ssl.create_default_context(cafile=settings.ca_file)
        self._redaction = Redaction([settings.password.reveal()] if settings.password else [])

    async def send(self, delivery: Delivery) -> Outcome:
        outcome = await self._send(delivery)
        refused = tuple(self._redaction.of(line) for line in outcome.refused)
        return replace(outcome, detail=self._redaction.of(outcome.detail), refused=refused)

    async def _send(self, delivery: Delivery) -> Outcome:
        everybody = dict.fromkeys(address_of(to) for to in self._settings.to)
        recipients = [to for to in everybody if to not in delivery.recipients]
        if not recipients:
            return _settled(delivery, {}, [], "all recipients are settled")
        letter = self._letters.write(
            delivery,
            sender=self._settings.from_,
            recipients=self._settings.to,
            now=self._now(),
            chart=await self._chart(delivery),
        )
        client = self._client()
        try:
            await self._guard.addresses(self._host, self._port)
            await client.connect()
            refusals, answer = await client.sendmail(
                address_of(self._settings.from_), recipients, letter.as_bytes()
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            answers = {one.recipient: (one.code, _line(one)) for one in error.recipients}
            return _settled(delivery, answers, recipients, "")
        except aiosmtplib.SMTPAuthenticationError as error:
            return Outcome(Result.RETRY, f"login refused: {_line(error)}", is_unwell=True)
        except aiosmtplib.SMTPConnectResponseError as error:
            return Outcome(Result.RETRY, f"server does not serve: {_line(error)}", is_unwell=True)
        except aiosmtplib.SMTPResponseException as error:
            result = Result.REFUSED if 500 <= error.code < 600 else Result.RETRY
            return Outcome(result, _line(error), is_unwell=error.code == 421)
        except (aiosmtplib.SMTPException, OSError) as error:
            return Outcome(Result.RETRY, f"no mail server: {_line(error)}", is_unwell=True)
        finally:
            _leave(client)
        answers = {to: (response.code, _answer(response)) for to, response in refusals.items()}
        return _settled(delivery, answers, recipients, answer)

    async def _chart(self, delivery: Delivery) -> Chart | None:
        """A picture, if it can be had in a small part of the time that there is."""
        if self._drawing is None or self._letters.has_own_text:
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.timeout * CHART_SHARE):
                return await self._drawing.chart(delivery.facts, self._letters.language, self._letters.zone)
        return None

    async def close(self) -> None:
        """Nothing stays open between two mails."""

    def _client(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=settings.username or None,
            password=settings.password.reveal() if settings.password else None,
            use_tls=settings.tls == "tls",
            start_tls=settings.tls == "starttls",
            tls_context=None if settings.tls == "none" else self._tls,
            timeout=settings.timeout,
        )


def address_of(written: str) -> str:
    return parseaddr(written)[1]


def _settled(
    delivery: Delivery, answers: Mapping[str, tuple[int, str]], recipients: Sequence[str], answer: str
) -> Outcome:
    """The message's fate from the answers to those recipients who were refused; the others have it."""
    settled = dict(delivery.recipients)
    later, refused = [], []
    for to in recipients:
        code, line = answers.get(to, (250, answer))
        if code < 400:
            settled[to] = ACCEPTED
        elif code < 500:
            later.append(f"{to}: {line}")
        else:
            settled[to] = REFUSED
            refused.append(f"{to}: {line}")
    detail = one_line("; ".join(later or refused) or answer, MAX_DETAIL)
    if later:
        result = Result.RETRY
    else:
        result = Result.DELIVERED if ACCEPTED in settled.values() else Result.REFUSED
    return Outcome(result, detail, recipients=settled, refused=tuple(refused))


def _line(error: BaseException) -> str:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return one_line(f"{error.code} {error.message}", MAX_DETAIL)
    return one_line(str(error) or type(error).__name__, MAX_DETAIL)


def _answer(response: SMTPResponse) -> str:
    return one_line(f"{response.code} {response.message}", MAX_DETAIL)


def _leave(client: aiosmtplib.SMTP) -> None:
    """Say good-bye without waiting: the answer to the mail is in, and nothing may undo it."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError, RuntimeError):
        if isinstance(client.transport, asyncio.WriteTransport) and not client.transport.is_closing():
            client.transport.write(b"QUIT\r\n")
        client.close()
