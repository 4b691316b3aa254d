"""Reading recorded texts."""

from __future__ import annotations

from sentinel.collect.ssh.parsers import Part, Shapes, parsers
from sentinel.collect.ssh.shape import Shape
from sentinel.model.labels import METRIC_NAME


def read(parser: str, text: bytes | str, *, shapes: Shapes | None = None, last: Shape | None = None) -> Part:
    data = text.encode() if isinstance(text, str) else text
    return (shapes or Shapes()).read(parsers()[parser], data, last)


def figures(part: Part) -> dict[str, float]:
    """Values by series as Prometheus writes them: node_load1, node_cpu_seconds_total{cpu="0", mode="idle"}."""
    return {
        str(labels) if len(labels) > 1 else labels[METRIC_NAME]: float(value)
        for labels, value in zip(part.shape.series, part.values, strict=True)
    }


def exposition(part: Part) -> str:
    """One line per series, and the success of each collector."""
    lines = [f"{series} {value!r}" for series, value in figures(part).items()]
    lines += [f"# success {name} {int(found)}" for name, found in part.shape.success.items()]
    return "\n".join(lines) + "\n"
