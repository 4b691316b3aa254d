"""The form every benchmark shares: measure several times, print a table, end with one quotable line, write JSON.

    report = Report("snmp", unit="ms CPU per poll")
    report.ours("poll", measure(poll, repeat=5))
    report.peer("snmpbulkwalk", measure_or_missing(...), against="poll")
    raise SystemExit(report.finish())

`bench/out/NAME.json` holds {"ours": {…}, "peers": {…}, "ratio": {peer: ours better by}, "machine": {…}}.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sentinel.runtime.memory import keep_freed_memory

OUT = Path(__file__).parent / "out"
MINIMUM_RUNS = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """Repeated measurements of one thing; at least three."""

    runs: tuple[float, ...]
    unit: str

    def __post_init__(self) -> None:
        if len(self.runs) < MINIMUM_RUNS:
            raise ValueError(f"a figure needs at least {MINIMUM_RUNS} runs, got {len(self.runs)}")

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def as_json(self) -> dict[str, object]:
        return {
            "median": self.median,
            "min": min(self.runs),
            "max": max(self.runs),
            "runs": len(self.runs),
            "unit": self.unit,
        }


@dataclass(slots=True)
class Report:
    """Figures of one benchmark; smaller is better in all of them."""

    name: str
    figures: dict[str, Figure] = field(default_factory=dict)
    peers: dict[str, tuple[Figure | None, str]] = field(default_factory=dict)
    """Peer → its figure (None: missing on this machine) and the name of our figure it stands beside."""
    reasons: dict[str, str] = field(default_factory=dict)
    extra: dict[str, object] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def ours(self, name: str, figure: Figure) -> None:
        self.figures[name] = figure
        _progress(f"{self.name}: {name}: {figure.median:.4g} {figure.unit}")

    def peer(self, name: str, figure: Figure | None, *, against: str, missing: str = "") -> None:
        """A peer's figure for the same work; None and a reason where the peer is not on this machine."""
        self.peers[name] = (figure, against)
        if figure is None:
            self.reasons[name] = missing or "not on this machine"
        elif ratio := self.ratio(name):
            _progress(f"{self.name}: {ratio:.1f} × {name}")

    def require(self, claim: str, holds: bool) -> None:
        """A criterion of the benchmark's own; one that does not hold makes it fail."""
        if not holds:
            self.failures.append(claim)

    def ratio(self, peer: str) -> float | None:
        """How many times better ours is than the peer."""
        figure, against = self.peers[peer]
        if figure is None or self.figures[against].median == 0:
            return None
        return figure.median / self.figures[against].median

    def __post_init__(self) -> None:
        keep_freed_memory()  # as the daemon does

    def finish(self, line: str = "") -> int:
        """Print the table and the last line, write the JSON; the exit code."""
        self._print(line)
        self._write()
        return 1 if self.failures else 0

    def _print(self, line: str) -> None:
        table = Table(title=f"bench {self.name}", title_justify="left")
        for heading in ("", "median", "min", "max", "unit", "ours better by"):
            table.add_column(heading, justify="left" if heading in ("", "unit") else "right")
        for name, figure in self.figures.items():
            table.add_row(name, *_cells(figure), "")
        for name, (peer_figure, against) in self.peers.items():
            if peer_figure is None:
                table.add_row(name, "missing", "", "", self.reasons[name], "")
            else:
                ratio = self.ratio(name)
                better = f"{ratio:.1f} × ({against})" if ratio else ""
                table.add_row(name, *_cells(peer_figure), better)
        console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
        console.print(table)
        for claim in self.failures:
            console.print(f"FAILED: {claim}", markup=False)
        console.print(line or self._line(), markup=False, soft_wrap=True)

    def _line(self) -> str:
        ours = ", ".join(f"{name} {figure.median:.4g} {figure.unit}" for name, figure in self.figures.items())
        beside = ", ".join(
            f"{ratio:.1f} × {name}" if (ratio := self.ratio(name)) else f"{name} missing"
            for name in self.peers
        )
        return f"{self.name}: {ours}" + (f"; {beside}" if beside else "")

    def _write(self) -> None:
        OUT.mkdir(exist_ok=True)
        content = {
            "ours": {name: figure.as_json() for name, figure in self.figures.items()},
            "peers": {
                name: figure.as_json() if figure else {"missing": self.reasons[name]}
                for name, (figure, _) in self.peers.items()
            },
            "ratio": {name: self.ratio(name) for name in self.peers},
            "machine": machine(),
            "failed": self.failures,
            **self.extra,
        }
        (OUT / f"{self.name}.json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def measure(work: Callable[[], object], *, repeat: int = 5, unit: str = "ms CPU", per: float = 1.0) -> Figure:
    """CPU time (user and system) of this process for `work`, divided by `per`, in milliseconds, after a warm-up."""
    work()
    return Figure(tuple(_cpu(work, resource.RUSAGE_SELF) / per for _ in range(repeat)), unit)


def measure_children(
    work: Callable[[], object], *, repeat: int = 5, unit: str = "ms CPU", per: float = 1.0
) -> Figure:
    """The same for child processes that `work` starts and waits for."""
    work()
    return Figure(tuple(_cpu(work, resource.RUSAGE_CHILDREN) / per for _ in range(repeat)), unit)


def cpu_ms(who: int = resource.RUSAGE_SELF) -> float:
    """CPU time so far in milliseconds."""
    usage = resource.getrusage(who)
    return (usage.ru_utime + usage.ru_stime) * 1000


def machine() -> dict[str, object]:
    return {
        "system": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": _processor(),
    }


def _cpu(work: Callable[[], object], who: int) -> float:
    before = cpu_ms(who)
    work()
    return cpu_ms(who) - before


def _progress(line: str) -> None:
    """What is known so far, where it does not get into anybody's way."""
    print(line, file=sys.stderr, flush=True)


def _cells(figure: Figure) -> Sequence[str]:
    return (f"{figure.median:.4g}", f"{min(figure.runs):.4g}", f"{max(figure.runs):.4g}", figure.unit)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
