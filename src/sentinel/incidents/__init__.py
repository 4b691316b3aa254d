"""Incidents: correlation, grade, lifecycle, timeline; one transaction per rule tick."""

from sentinel.incidents.correlation import Correlate, by_target
from sentinel.incidents.incidents import (
    Delivery,
    IncidentRecord,
    Incidents,
    NoSuchIncidentError,
    NotPossibleError,
)
from sentinel.incidents.ledger import Ledger
from sentinel.incidents.news import Dispatch, Event, News, Nobody

__all__ = [
    "Correlate",
    "Delivery",
    "Dispatch",
    "Event",
    "IncidentRecord",
    "Incidents",
    "Ledger",
    "News",
    "NoSuchIncidentError",
    "Nobody",
    "NotPossibleError",
    "by_target",
]
