"""`sentinel explain`: why something is as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentinel.cli.alert_story import alert_lines
from sentinel.cli.client import DEFAULT_URL, OWN, Daemon, UrlOption
from sentinel.cli.config import ConfigPath, fail, problems_told
from sentinel.cli.output import Output, OutputOption, plain, show_json
from sentinel.model.problem import UnusableError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from sentinel.config.document import Document, Path
    from sentinel.notify.intervals import Intervals
    from sentinel.notify.tree import Grouping, Step

app = typer.Typer(help="Explain a decision.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Explain a decision."""


@app.command()
def route(
    labels: Annotated[
        str, typer.Argument(metavar="LABELS", help='Labels of an alert: severity="critical",instance="a".')
    ],
    config: ConfigPath,
    output: OutputOption = Output.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    time: Annotated[str, typer.Option(help="When: Unix seconds or RFC 3339; else now.")] = "",
) -> None:
    """Show the way that an alert with these labels takes through the routes, who is told, and in which groups.

    Needs no daemon. A label that is not given is empty.
    """
    from sentinel.config.notify import routing_problems
    from sentinel.config.settings import load_document
    from sentinel.notify.intervals import Intervals
    from sentinel.notify.tree import Route

    wanted, at = _labels(labels), _instant(time)
    with problems_told():
        settings, document = load_document(config)
        problems = routing_problems(document, settings.route, settings.receiver, settings.time_interval)
        if problems:
            raise UnusableError(problems)
    if settings.route is None:
        fail("there is no [route]: incidents are opened and nobody is told")
    step = Route.of(settings.route).walk(wanted)
    zone = settings.daemon.timezone
    scene = _Scene(document, wanted, Intervals.of(settings.time_interval, zone), zone, at)
    told = list(dict.fromkeys(scene.told(step)))
    if as_json or output is Output.JSON:
        answer = {"labels": wanted, "receivers": list(step.receivers), "told_now": told}
        show_json(answer | {"at": at, "route": scene.shown(step, ("route",))})
        return
    for line in scene.lines(step, ("route",)):
        typer.echo(plain(line))
    if told != list(step.receivers):
        typer.echo(plain(f"told now: {', '.join(told) or 'nobody'}"))
    typer.echo(plain(f"receivers: {', '.join(step.receivers)}"))


@app.command()
def alert(
    fingerprint: Annotated[
        str, typer.Argument(metavar="ID", help="The alert's fingerprint, or its first characters.")
    ],
    output: OutputOption = Output.TABLE,
    url: UrlOption = DEFAULT_URL,
) -> None:
    """Show why an alert was told or not: its state, who was told when, what stands in the way, what comes next.

    `sentinel alerts --output json` shows fingerprints.
    """
    from urllib.parse import quote

    found = Daemon(url).get(f"{OWN}/explain/alert/{quote(fingerprint, safe='')}")
    if output is Output.JSON:
        show_json(found)
        return
    for line in alert_lines(found):
        typer.echo(plain(line))


def _instant(text: str) -> float:
    import time as clock

    from sentinel.web.formats import parse_instant

    try:
        return parse_instant(text) if text else clock.time()
    except ValueError as error:
        fail(str(error), 2)


def _labels(text: str) -> dict[str, str]:
    from sentinel.config.matchers import parse_matchers

    found: dict[str, str] = {}
    if not text.strip():
        return found
    try:
        matchers = parse_matchers(text)
    except ValueError as error:
        fail(str(error), 2)
    for matcher in matchers:
        if matcher.operator != "=":
            fail(f'{matcher} is not a label: write {matcher.name}="value"', 2)
        if found.setdefault(matcher.name, matcher.value) != matcher.value:
            fail(f"the label '{matcher.name}' is given twice", 2)
    return found


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the routes are shown against."""

    document: Document
    labels: Mapping[str, str]
    intervals: Intervals
    zone: ZoneInfo
    at: float

    def told(self, step: Step) -> Iterator[str]:
        """Receivers of the routes that tell at this instant."""
        if step.turn.value == "takes" and not self.intervals.closed(step.route.grouping, self.at):
            yield step.route.receiver
        for below in step.below if step.has_it else ():
            yield from self.told(below)

    def lines(self, step: Step, path: Path) -> Iterator[str]:
        """A line for each route, indented as deep as it is, and how it tells the alert if it takes it."""
        matchers = ", ".join(str(matcher) for matcher in step.route.matchers)
        name = (matchers or "everything") + (" (continue)" if step.route.continues else "")
        told = {
            "takes": f"takes it: {step.route.receiver}",
            "passes": "matches; see below",
            "refuses": f"no: {_why(step, self.labels)}",
            "skipped": "not looked at",
        }[step.turn.value]
        start = f"{self.document.file}:{self.document.place(path).line}:  {'  ' * (len(path) // 2)}"
        yield f"{start}{name}  – {told}"
        if step.turn.value == "takes":
            grouping = step.route.grouping
            yield f"{start}    {_groups(grouping)}"
            for key, names in (("tells nobody", grouping.mute), ("tells only", grouping.active)):
                yield from (f"{start}    {key} during {one}: {self._state(one)}" for one in names)
        for index, below in enumerate(step.below):
            yield from self.lines(below, (*path, "routes", index))

    def _state(self, name: str) -> str:
        from datetime import datetime

        is_in, until = self.intervals.state(name, self.at)
        if until is None:
            return "now, and for a year at least" if is_in else "not now, nor within a year"
        change = datetime.fromtimestamp(until, self.zone).strftime("%Y-%m-%d %H:%M %Z")
        return f"now, until {change}" if is_in else f"not now, from {change} on"

    def shown(self, step: Step, path: Path) -> dict[str, Any]:
        grouping = step.route.grouping
        return {
            "line": self.document.place(path).line,
            "receiver": step.route.receiver,
            "matchers": [str(matcher) for matcher in step.route.matchers],
            "continue": step.route.continues,
            "turn": step.turn.value,
            "missed": [
                {"matcher": str(matcher), "value": self.labels.get(matcher.name, "")}
                for matcher in step.missed
            ],
            "group_by": [grouping.by] if isinstance(grouping.by, str) else list(grouping.by),
            "group_wait": grouping.wait,
            "group_interval": grouping.interval,
            "repeat_interval": grouping.repeat,
            "mute_time_intervals": [self._interval(name) for name in grouping.mute],
            "active_time_intervals": [self._interval(name) for name in grouping.active],
            "routes": [self.shown(below, (*path, "routes", index)) for index, below in enumerate(step.below)],
        }

    def _interval(self, name: str) -> dict[str, Any]:
        is_in, until = self.intervals.state(name, self.at)
        return {"name": name, "is_in": is_in, "until": until}


def _groups(grouping: Grouping) -> str:
    """How a route groups and when it tells, in words."""
    from sentinel.model.durations import format_duration
    from sentinel.notify.tree import ALL, INCIDENT

    whole = {INCIDENT: "a group for each incident", ALL: "each alert by itself", (): "all in one group"}
    groups = whole.get(grouping.by) or f"grouped by {', '.join(grouping.by)}"
    first = f"told after {format_duration(grouping.wait)}" if grouping.wait else "told at once"
    news = f"every {format_duration(grouping.interval)}" if grouping.interval else "at once"
    again = f"repeated after {format_duration(grouping.repeat)}" if grouping.repeat else "never repeated"
    return f"{groups}; {first}, news {news}, {again}"


def _why(step: Step, labels: Mapping[str, str]) -> str:
    return ", ".join(
        f'{matcher.name} is "{labels[matcher.name]}"'
        if matcher.name in labels
        else f"{matcher.name} is missing"
        for matcher in step.missed
    )
