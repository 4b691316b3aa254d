"""Rules and groups, ready to evaluate."""

from __future__ import annotations

from dataclasses import dataclass

from sentinel.model.labels import Labels
from sentinel.rules.seams import Expression
from sentinel.rules.template import Template

VARIABLES = ("$labels", "$value", "$externalLabels", "$externalURL")
"""Variables that stand in every template of a rule."""

Templates = tuple[tuple[str, Template], ...]
"""Name and template of each label or annotation."""


@dataclass(frozen=True, slots=True, eq=False)
class AlertingRule:
    """Durations are seconds."""

    name: str
    expression: Expression
    hold: float
    """`for`: how long the expression has to return an alert before it fires."""
    keep: float
    """`keep_firing_for`: how long it fires on after the expression stopped returning it."""
    labels: Templates
    """The group's labels included."""
    annotations: Templates
    origin: str
    """file:line."""

    @property
    def identity(self) -> tuple[object, ...]:
        """Rules of the same group with the same identity keep their alerts over a reload."""
        return (
            "alert",
            self.name,
            self.expression.text,
            self.hold,
            tuple((name, template.text) for name, template in self.labels),
        )

    @property
    def fixed_labels(self) -> Labels:
        """Labels whose values do not depend on the result."""
        fixed = {name: template.constant for name, template in self.labels if template.constant is not None}
        return Labels(fixed)


@dataclass(frozen=True, slots=True, eq=False)
class RecordingRule:
    name: str
    expression: Expression
    labels: tuple[tuple[str, str], ...]
    """The group's labels included; an empty value removes a label."""
    origin: str

    @property
    def identity(self) -> tuple[object, ...]:
        return ("record", self.name, self.expression.text, self.labels)


Rule = AlertingRule | RecordingRule


@dataclass(frozen=True, slots=True, eq=False)
class RuleGroup:
    file: str
    name: str
    interval: float
    """Seconds between evaluations."""
    rules: tuple[Rule, ...]
    limit: int = 0
    """Most alerts or series that one rule may yield; 0: no limit."""
    query_offset: float = 0.0
    """Seconds by which expressions look back from the tick."""

    @property
    def identity(self) -> str:
        return f"{self.file};{self.name}"
