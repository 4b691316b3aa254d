"""Which alerts are one incident."""

from __future__ import annotations

from typing import Protocol

from sentinel.model.alert import Alert
from sentinel.model.labels import Labels


class Correlate(Protocol):
    """The labels that an alert shares with the others of its incident; equal ones are one incident."""

    def __call__(self, alert: Alert) -> Labels: ...


def by_target(alert: Alert) -> Labels:
    """The same alert on the same target is one incident, however many of its interfaces or disks it names.

    An alert without a target stands for itself: all its labels but the severity.
    """
    if "instance" in alert.labels:
        return alert.labels.only("alertname", "instance")
    return alert.labels.without("severity")


def key_of(grouping: Labels) -> str:
    """Text by which incidents are found again."""
    text = str(grouping)
    return text if len(text) <= 400 else f"{text[:380]}…{grouping.fingerprint()}"
