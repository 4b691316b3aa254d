"""Which of its forms an answer takes."""

from __future__ import annotations

_OPENMETRICS = "application/openmetrics-text"
_OF_TEXT = {"text/plain", "text/*", "*/*"}


def wants_openmetrics(accept: str) -> bool:
    """Whether an Accept header puts OpenMetrics 1.0 above the text format.

    Prometheus sends "application/openmetrics-text;version=1.0.0;q=0.5,…;version=0.0.1;q=0.4,text/plain;…;q=0.3".
    Source: RFC 9110 §12.5.1
    """
    openmetrics = text = 0.0
    for part in accept.split(","):
        kind, *parameters = (one.strip().lower() for one in part.split(";"))
        given = dict(_pair(parameter) for parameter in parameters)
        weight = _weight(given.get("q", "1"))
        if kind == _OPENMETRICS and given.get("version", "1.0.0") == "1.0.0":
            openmetrics = max(openmetrics, weight)
        elif kind in _OF_TEXT and given.get("version", "0.0.4") == "0.0.4":
            text = max(text, weight)
    return openmetrics > 0 and openmetrics >= text


def _pair(parameter: str) -> tuple[str, str]:
    name, _, value = parameter.partition("=")
    return name.strip(), value.strip(' "')


def _weight(written: str) -> float:
    try:
        weight = float(written)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
