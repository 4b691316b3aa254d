"""The texts of a rule's alerts: labels and annotations, expanded from templates as rarely as they may change."""

from __future__ import annotations

from sentinel.model.labels import Labels
from sentinel.rules.rule import AlertingRule, Templates
from sentinel.rules.surroundings import Surroundings
from sentinel.rules.template import ExpansionError, Struct
from sentinel.rules.track import Track

ALERT_NAME = "alertname"

VOLATILE = frozenset({"$value", "Value", ".", "query"})
"""What a template reads that may differ although the labels are the same."""


class AlertTexts:
    """Expands one rule's templates."""

    def __init__(self, rule: AlertingRule, around: Surroundings) -> None:
        self._rule, self._around = rule, around
        self.has_volatile_labels = any(template.reads & VOLATILE for _, template in rule.labels)
        """Labels may differ although the result's are the same."""
        self._has_volatile_annotations = any(template.reads & VOLATILE for _, template in rule.annotations)
        self._asks = any("query" in template.reads for _, template in rule.annotations)

    def labels(self, source: Labels, value: float, at: float) -> Labels:
        """An alert's labels.

        Args:
            source: those of the result.
            at: Unix seconds of the evaluation.
        """
        labels = {name: text for name, text in source.pairs if name != "__name__"}
        labels.update(self._expanded(self._rule.labels, source, value, at))
        labels[ALERT_NAME] = self._rule.name
        return Labels(labels)

    def annotate(self, track: Track, at: float) -> None:
        """Bring an alert's annotations up to date."""
        stamp = (track.value, at if self._asks else 0.0)
        if track.annotated is not None and (not self._has_volatile_annotations or track.annotated == stamp):
            return
        texts = self._expanded(self._rule.annotations, track.source, track.value, at)
        track.annotations = Labels.annotations(texts)
        track.annotated = stamp

    def _expanded(self, templates: Templates, source: Labels, value: float, at: float) -> dict[str, str]:
        around = self._around
        external = around.external_labels
        fields = {
            "Labels": source,
            "Value": value,
            "ExternalLabels": external,
            "ExternalURL": around.external_url,
        }
        variables = {
            "$labels": source,
            "$value": value,
            "$externalLabels": external,
            "$externalURL": around.external_url,
        }
        found = {}
        for name, template in templates:
            try:
                found[name] = template.expand(Struct(fields), variables, lambda text: around.query(text, at))
            except ExpansionError as error:
                around.on_failure(str(error))
                found[name] = f"<error expanding template: {error}>"
        return found
