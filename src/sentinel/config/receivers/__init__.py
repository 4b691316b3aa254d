"""[[receiver]]: one model for each kind."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sentinel.config.receivers.base import LONGEST_SEND, Receiver, TemplateSource
from sentinel.config.receivers.chat import (
    DingtalkSettings,
    FeishuSettings,
    SlackSettings,
    TeamsSettings,
    TelegramSettings,
    WecomSettings,
)
from sentinel.config.receivers.local import CommandSettings, NotifySettings, SyslogSettings
from sentinel.config.receivers.mail import EmailSettings, split_smarthost
from sentinel.config.receivers.pagers import AlertmanagerSettings, OpsgenieSettings, PagerdutySettings
from sentinel.config.receivers.sms import SmsSettings
from sentinel.config.receivers.web import AppriseSettings, WebhookSettings

__all__ = [
    "LONGEST_SEND",
    "AnyReceiver",
    "NotifySettings",
    "Receiver",
    "ReceiverSettings",
    "TemplateSource",
    "split_smarthost",
]

AnyReceiver = (
    WebhookSettings
    | EmailSettings
    | WecomSettings
    | DingtalkSettings
    | FeishuSettings
    | SlackSettings
    | TeamsSettings
    | TelegramSettings
    | PagerdutySettings
    | OpsgenieSettings
    | SmsSettings
    | SyslogSettings
    | CommandSettings
    | AppriseSettings
    | AlertmanagerSettings
)

ReceiverSettings = Annotated[AnyReceiver, Field(discriminator="kind")]
