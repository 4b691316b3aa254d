"""Time intervals and inhibit rules of an Alertmanager as [[time_interval]] and [[inhibit]]."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from sentinel.config.alertmanager.routes import matchers_at
from sentinel.config.alertmanager.source import Source
from sentinel.config.alertmanager.toml_text import Table, lines_of
from sentinel.config.document import Path
from sentinel.config.grouping import label_text
from sentinel.config.intervals import SpanSettings
from sentinel.model.problem import Problem

_PARTS = ("times", "weekdays", "days_of_month", "months", "years")
_MANY = "sources: a rule with several sources has no counterpart: left out"
_INHIBIT = {
    *("source_match", "source_match_re", "source_matchers"),
    *("target_match", "target_match_re", "target_matchers", "equal", "name"),
}


class TimeIntervals:
    """Those of time_intervals, and of the older mute_time_intervals."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.names: set[str] = set()
        self.lines: list[str] = []
        self.problems: list[Problem] = []

    def read(self) -> None:
        for key in ("mute_time_intervals", "time_intervals"):
            for path in self._source.items((key,)):
                self._read(path)

    def _read(self, path: Path) -> None:
        name = self._source.text((*path, "name"))
        if not name or name in self.names:
            text = f"time interval '{name}' is defined twice" if name else "a time interval needs a name"
            self._problem((*path, "name"), text)
        self.names.add(name)
        self.lines += lines_of("[[time_interval]]", Table({"name": name}))
        for part in self._source.items((*path, "time_intervals")):
            self.lines += lines_of("[[time_interval.time_intervals]]", self._part(part))

    def _part(self, path: Path) -> Table:
        written = self._source.at(path)
        table = Table(dict(written) if isinstance(written, Mapping) else {})
        table.values = {key: value for key, value in table.values.items() if value is not None}
        location = table.values.pop("location", "") or "UTC"
        if location == "Local":
            where = (*path, "location")
            table.comments.append(self._source.note(where, "Local is here the time zone of [daemon]"))
        else:
            table.values["location"] = location
        try:
            SpanSettings.model_validate(table.values)
        except ValidationError as error:
            for detail in error.errors():
                self._problem((*path, *detail["loc"]), detail["msg"].removeprefix("Value error, "))
        return table

    def _problem(self, path: Path, text: str) -> None:
        self.problems.append(self._source.document.problem(path, text, value=True))


class InhibitRules:
    def __init__(self, source: Source) -> None:
        self._source = source
        self.lines: list[str] = []
        self.problems: list[Problem] = []

    def read(self) -> None:
        for path in self._source.items(("inhibit_rules",)):
            self.lines += self._rule(path)

    def _rule(self, path: Path) -> Iterator[str]:
        comments: list[str] = []
        if self._source.items((*path, "sources")):
            yield f"# {self._source.note((*path, 'sources'), _MANY)}"
            yield ""
            return
        values: dict[str, Any] = {}
        if name := self._source.text((*path, "name")):
            values["name"] = name
        for side in ("source", "target"):
            keys = (f"{side}_match", f"{side}_match_re", f"{side}_matchers")
            matchers, problems = matchers_at(self._source, path, *keys)
            self.problems += problems
            if matchers:
                values[f"{side}_matchers"] = [str(matcher) for matcher in matchers]
        equal = [self._label(one) for one in self._source.items((*path, "equal"))]
        if equal:
            values["equal"] = equal
        self._source.unsupported(comments, path, set(self._source.keys(path)) - _INHIBIT)
        yield from lines_of("[[inhibit]]", Table(values, comments))

    def _label(self, path: Path) -> str:
        name = self._source.text(path)
        if not name:
            self.problems.append(self._source.document.problem(path, "not a label name: ''", value=True))
        return label_text(name)
