"""The kinds of receivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from sentinel.config.notify import EmailSettings, WebhookSettings
from sentinel.model.problem import Problem, UnusableError
from sentinel.notify.receiver import Receiver
from sentinel.notify.receivers.email import Email
from sentinel.notify.receivers.webhook import Webhook
from sentinel.notify.texts import Language
from sentinel.runtime.clock import Clock


def build_receivers(
    settings: Sequence[WebhookSettings | EmailSettings], *, clock: Clock, language: Language, zone: ZoneInfo
) -> Mapping[str, Receiver]:
    """The receivers by name.

    Raises:
        UnusableError: a certificate file cannot be used.
    """
    built: dict[str, Receiver] = {}
    problems = []
    for one in settings:
        try:
            if isinstance(one, WebhookSettings):
                built[one.name] = Webhook(one, now=clock.now)
            else:
                built[one.name] = Email(one, now=clock.now, language=language, zone=zone)
        except OSError as error:  # ssl.SSLError is one
            text = f"receiver '{one.name}': the certificates cannot be used: {error.strerror or error}"
            problems.append(Problem(one.ca_file or one.name, 0, 0, text))
    if problems:
        raise UnusableError(problems)
    return built
