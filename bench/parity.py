"""One machine read by Debian's node_exporter and by Sentinel over a real sshd, at the same moment.

    python -m bench.parity

Compares metric names and label sets. Counted are the names node_* of node_exporter's default collectors, without
those about the scrape and the exporter itself. A difference that comes from a default (devices and mount points
left out) where Debian's node_exporter 1.5 and upstream disagree is listed apart as explained.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table
from tests.servers.debian import ROOT, MissingServerError
from tests.servers.node_exporter import NodeExporter
from tests.servers.sshd import Sshd

from bench.form import Figure, Report
from sentinel.collect.ssh.driver import SshDriver
from sentinel.collect.ssh.modules import parse_modules
from sentinel.config.auth import SshAuth
from sentinel.config.secret import Secret
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Reading
from sentinel.model.labels import Labels
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock

ROUNDS = 3
LEAST_SHARE = 0.95
"""Of node_exporter's names on this machine."""
NEEDED = frozenset(
    """
    node_uname_info node_boot_time_seconds node_time_seconds node_load1 node_load5 node_load15
    node_cpu_seconds_total node_procs_running node_procs_blocked node_context_switches_total node_intr_total
    node_memory_MemTotal_bytes node_memory_MemFree_bytes node_memory_MemAvailable_bytes node_memory_Buffers_bytes
    node_memory_Cached_bytes node_memory_Slab_bytes node_memory_SwapTotal_bytes node_memory_SwapFree_bytes
    node_filesystem_size_bytes node_filesystem_free_bytes node_filesystem_avail_bytes node_filesystem_files
    node_filesystem_files_free node_filesystem_readonly node_filesystem_device_error
    node_disk_reads_completed_total node_disk_writes_completed_total node_disk_read_bytes_total
    node_disk_written_bytes_total node_disk_read_time_seconds_total node_disk_write_time_seconds_total
    node_disk_io_time_seconds_total node_disk_io_time_weighted_seconds_total node_disk_io_now
    node_network_receive_bytes_total node_network_transmit_bytes_total node_network_receive_packets_total
    node_network_transmit_packets_total node_network_receive_errs_total node_network_transmit_errs_total
    node_network_receive_drop_total node_network_transmit_drop_total node_network_up
    node_filefd_allocated node_filefd_maximum node_nf_conntrack_entries node_nf_conntrack_entries_limit
    node_vmstat_pgmajfault node_vmstat_pswpin node_vmstat_oom_kill node_timex_sync_status
    node_timex_offset_seconds node_timex_maxerror_seconds node_sockstat_TCP_inuse node_sockstat_sockets_used
    node_netstat_Tcp_CurrEstab node_netstat_Tcp_RetransSegs node_hwmon_temp_celsius node_systemd_unit_state
    node_md_disks node_md_disks_required node_bonding_slaves node_bonding_active node_textfile_scrape_error
    node_scrape_collector_success
    """.split()  # noqa: SIM905 - names are read in rows
)
"""What the common dashboard and the node mixin ask for."""
_COUNTED = re.compile(r"node_(?!scrape_collector_|exporter_)")


@dataclass(frozen=True, slots=True)
class Default:
    """A default that Debian's node_exporter 1.5 and upstream's newest do not share; Sentinel has upstream's."""

    names: str
    """What the metrics' names begin with."""
    label: str
    values: re.Pattern[str]
    """Of the label, in the series that only one side has."""
    why: str


_DEFAULTS = (
    Default("node_network_", "device", re.compile("lo"), "Debian's netdev leaves out lo"),
    Default(
        "node_filesystem_",
        "mountpoint",
        re.compile("/(run|sys|mnt|media)(/.*)?"),
        "Debian leaves out /run, /mnt and /media",
    ),
    Default("node_disk_", "device", re.compile(r"zram\d+"), "since 1.8 node_exporter leaves out zram"),
)

Series = Mapping[Labels, float]


@dataclass(frozen=True, slots=True)
class Parity:
    """Two readings of one machine, by metric name."""

    theirs: Mapping[str, frozenset[Labels]]
    ours: Mapping[str, frozenset[Labels]]

    @classmethod
    def of(cls, theirs: Series, ours: Series) -> Parity:
        return cls(_by_name(theirs), _by_name(ours))

    @property
    def missing(self) -> list[str]:
        return sorted(self.theirs.keys() - self.ours.keys())

    @property
    def missing_needed(self) -> list[str]:
        """Names that dashboards and the mixin need, that this kernel offers, and that are not there."""
        return sorted(NEEDED.intersection(self.missing))

    @property
    def surplus(self) -> list[str]:
        return sorted(self.ours.keys() - self.theirs.keys())

    @property
    def share(self) -> float:
        """Part of node_exporter's names that are found, 0 to 1."""
        return 1 - len(self.missing) / len(self.theirs)

    @property
    def explained(self) -> dict[str, str]:
        """Names whose label sets differ only by a default, and which."""
        return {name: why for name in self._unequal() if (why := self._why(name))}

    @property
    def different(self) -> dict[str, dict[str, list[str]]]:
        """Names with other label sets, and the series that only one side has."""
        return {
            name: {
                "only_node_exporter": sorted(map(str, self.theirs[name] - self.ours[name])),
                "only_sentinel": sorted(map(str, self.ours[name] - self.theirs[name])),
            }
            for name in self._unequal()
            if not self._why(name)
        }

    def _unequal(self) -> list[str]:
        both = sorted(self.theirs.keys() & self.ours.keys())
        return [name for name in both if self.theirs[name] != self.ours[name]]

    def _why(self, name: str) -> str:
        """The default that explains every series that only one side has, or nothing."""
        alone = self.theirs[name] ^ self.ours[name]
        for default in _DEFAULTS:
            values = [each.get(default.label, "") for each in alone]
            if name.startswith(default.names) and all(map(default.values.fullmatch, values)):
                return default.why
        return ""


def _by_name(series: Series) -> dict[str, frozenset[Labels]]:
    found: dict[str, set[Labels]] = {}
    for labels in series:
        if _COUNTED.match(labels.name):
            found.setdefault(labels.name, set()).add(labels)
    return {name: frozenset(each) for name, each in found.items()}


async def read_both(server: Sshd, log: Path, rounds: int = 1) -> list[tuple[Series, Series, float]]:
    """Series of node_exporter and of Sentinel, and how long both took in seconds."""
    file = ROOT / "collectors/ssh/linux.yml"
    modules = parse_modules(parse_yaml(file.read_text(), str(file)))
    auth = SshAuth(
        kind="ssh",
        username=server.username,
        key=Secret(server.private_key),
        known_hosts=str(server.known_hosts),
    )
    driver = SshDriver(modules, {"key": auth}, clock=SystemClock(), registry=CollectorRegistry())
    found: list[tuple[Series, Series, float]] = []
    with NodeExporter(log, namespace_of=server.pid) as peer:
        collector = driver.open(Target("here", server.host, server.port, ("linux",), ("key",)), "linux")
        try:
            await collector.poll(at=0.0, timeout=30.0)  # logs in
            for _ in range(rounds):
                started = time.monotonic()
                theirs, reading = await asyncio.gather(
                    asyncio.to_thread(peer.scrape), collector.poll(at=0.0, timeout=30.0)
                )
                found.append((theirs, _series(reading), time.monotonic() - started))
        finally:
            await driver.close()
    return found


def _series(reading: Reading) -> Series:
    return {labels: float(value) for labels, value in zip(reading.layout.series, reading.values, strict=True)}


def main() -> int:
    report = Report("parity")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="parity-", dir="/tmp") as folder,
            Sshd(Path(folder)) as server,
        ):
            rounds = asyncio.run(read_both(server, Path(folder) / "node_exporter.log", ROUNDS))
    except (MissingServerError, OSError) as error:
        report.require(f"both can be run: {error}", holds=False)
        return report.finish("parity: could not be run")
    found = [Parity.of(theirs, ours) for theirs, ours, _ in rounds]
    seconds = max(taken for _, _, taken in rounds)
    report.ours("missing", Figure(tuple(float(len(each.missing)) for each in found), "names"))
    report.ours("different", Figure(tuple(float(len(each.different)) for each in found), "names"))
    last = found[-1]
    report.require(f"at least {LEAST_SHARE:.0%} of the names", holds=last.share >= LEAST_SHARE)
    report.require("every name that dashboards and the mixin need", holds=not last.missing_needed)
    report.require("equal label sets", holds=not last.different)
    report.extra |= {
        "share": last.share,
        "names": len(last.theirs),
        "missing": last.missing,
        "missing_needed": last.missing_needed,
        "different": last.different,
        "explained": last.explained,
        "extra": last.surplus,
        "seconds": seconds,
    }
    _print(last)
    return report.finish(
        f"parity: {last.share:.1%} of node_exporter's {len(last.theirs)} metric names on this machine,"
        f" {len(last.different)} with other label sets ({len(last.explained)} more by Debian's or older defaults),"
        f" {len(last.surplus)} names that only Sentinel has; both read within {seconds * 1000:.0f} ms"
    )


def _print(parity: Parity) -> None:
    table = Table(title="metric names by subject", title_justify="left")
    for heading in ("subject", "node_exporter", "found", "missing", "different", "only Sentinel"):
        table.add_column(heading, justify="left" if heading == "subject" else "right")
    for subject in sorted({_subject(name) for name in parity.theirs.keys() | parity.ours.keys()}):
        theirs = [name for name in parity.theirs if _subject(name) == subject]
        table.add_row(
            subject,
            str(len(theirs)),
            str(len([name for name in theirs if name in parity.ours])),
            *(
                str(len([name for name in names if _subject(name) == subject]) or "")
                for names in (parity.missing, parity.different, parity.surplus)
            ),
        )
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120)
    console.print(table)
    for title, names in (("missing", parity.missing), ("only Sentinel", parity.surplus)):
        console.print(f"{title}: {', '.join(names) or 'none'}", markup=False, highlight=False)
    for name, sides in parity.different.items():
        console.print(f"different: {name}: {sides}", markup=False, highlight=False)
    for why in sorted(set(parity.explained.values())):
        names = [name for name, reason in parity.explained.items() if reason == why]
        console.print(f"{why}: {len(names)} names differ in that", markup=False, highlight=False)


def _subject(name: str) -> str:
    return re.sub(r"^(load)[0-9]+$", r"\1", name.split("_")[1])


if __name__ == "__main__":
    raise SystemExit(main())
