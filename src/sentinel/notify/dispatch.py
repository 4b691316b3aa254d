"""Dispatch: from news of an incident to messages for receivers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from sentinel.config.notify import AnyReceiver, RouteSettings
from sentinel.incidents.news import Event, Message, News
from sentinel.model.alert import Alert
from sentinel.notify.facts import facts_of
from sentinel.notify.tree import Route


class Dispatch:
    """
    Args:
        route: the top of the tree; None: nobody is told.
        external_url: where people reach the pages; without a slash at the end.
    """

    def __init__(
        self,
        route: RouteSettings | None,
        receivers: Sequence[AnyReceiver],
        *,
        external_url: str,
    ) -> None:
        self._route = Route.of(route) if route else None
        self._receivers = {receiver.name: receiver for receiver in receivers}
        self._external_url = external_url

    def messages(self, news: News) -> list[Message]:
        """One message for each receiver that has to hear it.

        A firing goes where the routes of its fresh alerts lead; everything after it goes to those who were
        told, whatever the routes say by then.
        """
        receivers = self._fresh(news) if news.event is Event.FIRING else self._told(news)
        return [
            Message(name, news.event, cast("dict[str, Any]", self._facts(news, name))) for name in receivers
        ]

    def _fresh(self, news: News) -> Iterable[str]:
        if self._route is None:
            return ()
        found: dict[str, None] = {}
        for alert in news.alerts:
            if alert.fingerprint in news.fresh:
                found.update(dict.fromkeys(self._route.receivers(alert.labels)))
        return [name for name in found if name in self._receivers]

    def _told(self, news: News) -> Iterable[str]:
        for name in sorted(news.told & self._receivers.keys()):
            receiver = self._receivers[name]
            wanted = receiver.send_resolved if news.event is Event.RESOLVED else receiver.send_acknowledged
            if wanted:
                yield name

    def _facts(self, news: News, receiver: str) -> object:
        alerts = [alert for alert in news.alerts if self._concerns(alert, receiver)]
        if news.event is not Event.RESOLVED:
            alerts = [alert for alert in alerts if alert.is_open or alert.fingerprint in news.fresh]
        alerts.sort(key=lambda alert: (alert.fingerprint not in news.fresh, -(alert.fired_at or 0.0)))
        return facts_of(news, alerts or news.alerts, external_url=self._external_url)

    def _concerns(self, alert: Alert, receiver: str) -> bool:
        return self._route is not None and receiver in self._route.receivers(alert.labels)
