"""Who is told what."""

from __future__ import annotations

from dataclasses import replace

from sentinel.config.notify import RouteSettings, WebhookSettings
from sentinel.config.secret import Secret
from sentinel.incidents.news import Event
from sentinel.model.alert import AlertState
from sentinel.notify.dispatch import Dispatch
from sentinel.notify.facts import MAX_ALERTS
from tests.unit.incidents.alerts import START, alert
from tests.unit.notify.news import news


def hook(name: str, *, send_resolved: bool = True, send_acknowledged: bool = False) -> WebhookSettings:
    return WebhookSettings(
        kind="webhook",
        name=name,
        url=Secret("http://127.0.0.1:9/"),
        send_resolved=send_resolved,
        send_acknowledged=send_acknowledged,
    )


ROUTE = RouteSettings.model_validate(
    {"receiver": "all", "routes": [{"receiver": "ports", "matchers": ['ifName=~".+"']}]}
)
HOOKS = [hook("all"), hook("ports"), hook("quiet", send_resolved=False), hook("ack", send_acknowledged=True)]
DISPATCH = Dispatch(ROUTE, HOOKS, external_url="http://s")


def test_each_receiver_gets_one_message_with_its_alerts() -> None:
    one, two, three = alert(), alert(ifName="ge-1"), alert(ifName="ge-2")
    messages = {message.receiver: message for message in DISPATCH.messages(news(alerts=[one, two, three]))}
    assert set(messages) == {"all", "ports"}
    assert len(messages["ports"].payload["alerts"]) == 2
    assert len(messages["all"].payload["alerts"]) == 1


def test_only_fresh_alerts_choose_who_hears_of_a_firing() -> None:
    old, new = alert(), alert(ifName="ge-1")
    assert [message.receiver for message in DISPATCH.messages(news(alerts=[old, new], fresh=[new]))] == [
        "ports"
    ]


def test_a_recovery_goes_to_exactly_those_who_were_told() -> None:
    over = replace(alert(), state=AlertState.INACTIVE, resolved_at=START + 60)
    told = news(Event.RESOLVED, [over], fresh=[], told=["ports", "quiet", "removed"])
    assert [message.receiver for message in DISPATCH.messages(told)] == ["ports"]
    assert DISPATCH.messages(replace(told, told=frozenset())) == []


def test_an_acknowledgement_goes_where_it_is_wanted() -> None:
    told = news(Event.ACKNOWLEDGED, fresh=[], told=["all", "ack"])
    assert [message.receiver for message in DISPATCH.messages(told)] == ["ack"]


def test_without_routes_nobody_is_told() -> None:
    assert Dispatch(None, HOOKS, external_url="http://s").messages(news()) == []


def test_messages_are_bounded_and_say_what_they_leave_out() -> None:
    many = [alert(ifName=f"ge-{number}") for number in range(MAX_ALERTS + 20)]
    (message,) = DISPATCH.messages(news(alerts=many))
    assert len(message.payload["alerts"]) == MAX_ALERTS
    assert (message.payload["truncated"], message.payload["total"]) == (20, MAX_ALERTS + 20)
