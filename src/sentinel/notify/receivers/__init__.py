"""The kinds of receivers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sentinel.config.receivers import AnyReceiver, NotifySettings
from sentinel.model.problem import Problem, UnusableError
from sentinel.notify.chart.charts import Drawing
from sentinel.notify.receiver import Receiver
from sentinel.notify.receivers.alertmanager import Alertmanager
from sentinel.notify.receivers.apprise import Apprise
from sentinel.notify.receivers.command import Command
from sentinel.notify.receivers.dingtalk import Dingtalk
from sentinel.notify.receivers.email import Email
from sentinel.notify.receivers.feishu import Feishu
from sentinel.notify.receivers.opsgenie import Opsgenie
from sentinel.notify.receivers.pagerduty import Pagerduty
from sentinel.notify.receivers.slack import Slack
from sentinel.notify.receivers.sms import Sms
from sentinel.notify.receivers.syslog import Syslog
from sentinel.notify.receivers.teams import Teams
from sentinel.notify.receivers.telegram import Telegram
from sentinel.notify.receivers.webhook import Webhook
from sentinel.notify.receivers.wecom import Wecom
from sentinel.notify.surroundings import Surroundings
from sentinel.notify.texts import Language
from sentinel.runtime.clock import Clock

Build = Callable[[Any, Surroundings], Receiver]

KINDS: Mapping[str, Build] = {
    "webhook": Webhook,
    "email": Email,
    "wecom": Wecom,
    "dingtalk": Dingtalk,
    "feishu": Feishu,
    "slack": Slack,
    "teams": Teams,
    "telegram": Telegram,
    "pagerduty": Pagerduty,
    "opsgenie": Opsgenie,
    "sms": Sms,
    "syslog": Syslog,
    "command": Command,
    "apprise": Apprise,
    "alertmanager": Alertmanager,
}
"""What each kind's settings become; each may raise OSError: a certificate, template or program cannot be used."""


def build_receivers(
    settings: Sequence[AnyReceiver],
    *,
    clock: Clock,
    language: Language,
    zone: ZoneInfo,
    notify: NotifySettings | None = None,
    folder: Path = Path(),
    drawing: Drawing | None = None,
) -> Mapping[str, Receiver]:
    """The receivers by name.

    Args:
        folder: where names of template files start.
        drawing: who draws charts for mails.
    Raises:
        UnusableError: a certificate, template or program cannot be used.
    """
    around = Surroundings(clock.now, language, zone, notify or NotifySettings(), folder, drawing)
    built: dict[str, Receiver] = {}
    problems: list[Problem] = []
    for one in settings:
        try:
            built[one.name] = KINDS[one.kind](one, around)
        except OSError as error:  # ssl.SSLError is one
            text = f"receiver '{one.name}' cannot be used: {error.strerror or error}"
            problems.append(Problem(getattr(one, "ca_file", None) or one.name, 0, 0, text))
        except UnusableError as error:
            problems += error.problems
    if problems:
        raise UnusableError(problems)
    return built
