"""What Alertmanager says of itself, said of Sentinel.

`config.original` is the routing as an Alertmanager would have it written: its receivers are names and nothing
else, so there is no secret in it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import yaml

from sentinel.config.grouping import ALL, INCIDENT, Options
from sentinel.config.intervals import MONTHS, WEEKDAYS, Range, SpanSettings
from sentinel.config.notify import NOBODY, RouteSettings
from sentinel.config.settings import Settings
from sentinel.model.durations import format_duration
from sentinel.web.formats import format_instant

SPEAKS: Final = "0.28.0"
"""The version of Alertmanager whose API this is: clients decide by it what they may ask."""
BY_INCIDENT: Final = ("alertname", "instance")
"""What comes closest to groups by incident."""
AT_ONCE: Final = "1s"
NEVER: Final = "10y"
"""What comes closest to times that an Alertmanager does not have."""

_HEAD: Final = (
    "# Sentinel's routing in Alertmanager's words. Receivers and their secrets are in Sentinel's own files.\n"
)


def status_json(settings: Settings, started_at: float) -> Mapping[str, Any]:
    return {
        "cluster": {"peers": [], "status": "disabled"},
        "config": {"original": written(settings)},
        "uptime": format_instant(started_at),
        "versionInfo": {
            "branch": "",
            "buildDate": "",
            "buildUser": "",
            "goVersion": f"python{platform.python_version()}",
            "revision": "",
            "version": SPEAKS,
        },
    }


def receiver_names(settings: Settings) -> Sequence[str]:
    """In the order of the configuration; "nobody" where a route leads there."""
    names = [receiver.name for receiver in settings.receiver]
    leads_nowhere = settings.route is not None and NOBODY in _receivers(settings.route)
    return [*names, NOBODY] if leads_nowhere else names


def written(settings: Settings) -> str:
    """YAML that an Alertmanager of the same version would take."""
    whole: dict[str, Any] = {"global": {"resolve_timeout": format_duration(settings.resolve_timeout)}}
    if settings.route is not None:
        whole["route"] = _route(settings.route, Options())
    whole["receivers"] = [{"name": name} for name in receiver_names(settings)]
    if settings.inhibit:
        whole["inhibit_rules"] = [
            {
                "source_matchers": list(map(str, rule.source)),
                "target_matchers": list(map(str, rule.target)),
                "equal": list(rule.equal_names),
            }
            for rule in settings.inhibit
        ]
    if settings.time_interval:
        whole["time_intervals"] = [
            {"name": one.name, "time_intervals": [_span(span) for span in one.time_intervals]}
            for one in settings.time_interval
        ]
    return _HEAD + yaml.safe_dump(whole, sort_keys=False, allow_unicode=True, width=1000)


def _receivers(route: RouteSettings) -> Iterable[str]:
    yield route.receiver
    for child in route.routes:
        yield from _receivers(child)


def _route(route: RouteSettings, above: Options) -> dict[str, Any]:
    options = route.options(above)
    by = BY_INCIDENT if options.by is INCIDENT else ("...",) if options.by is ALL else options.by
    shown: dict[str, Any] = {"receiver": route.receiver} if route.receiver else {}
    if route.matchers:
        shown["matchers"] = list(map(str, route.parsed()))
    shown["group_by"] = list(by)
    shown["group_wait"] = format_duration(options.wait)
    shown["group_interval"] = format_duration(options.interval) if options.interval else AT_ONCE
    shown["repeat_interval"] = format_duration(options.repeat) if options.repeat else NEVER
    for key in ("mute_time_intervals", "active_time_intervals"):
        if names := getattr(route, key):
            shown[key] = list(names)
    if route.continue_:
        shown["continue"] = True
    if route.routes:
        shown["routes"] = [_route(child, options) for child in route.routes]
    return shown


def _span(span: SpanSettings) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if span.times is not None:
        shown["times"] = [
            {"start_time": _time(one.start_time), "end_time": _time(one.end_time)} for one in span.times
        ]
    if span.weekdays is not None:
        shown["weekdays"] = [_range(one, WEEKDAYS) for one in span.weekdays]
    if span.days_of_month is not None:
        shown["days_of_month"] = [_range(one) for one in span.days_of_month]
    if span.months is not None:
        shown["months"] = [_range(one, ("", *MONTHS)) for one in span.months]
    if span.years is not None:
        shown["years"] = [_range(one) for one in span.years]
    if span.location is not None:
        shown["location"] = span.location.key
    return shown


def _time(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _range(numbers: Range, names: Sequence[str] = ()) -> str:
    first, last = (names[one] if names else str(one) for one in (numbers.first, numbers.last))
    return f"{first}:{last}"
