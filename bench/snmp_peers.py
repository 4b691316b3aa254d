"""The peers of the SNMP benchmark: each reads the same simulated switch, and its CPU time is counted.

python -m bench.snmp_peers PORT    (pysnmp's bulk walk; prints ms CPU for each of a few walks)
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import yaml
from pysnmp.hlapi.v3arch.asyncio import (
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    UdpTransportTarget,
    bulk_walk_cmd,
)
from tests.servers.debian import MissingServerError, environment, free_port, program

from bench.form import Figure, cpu_ms, measure_children
from bench.snmp_agent import COLUMNS, IF_ENTRY, IF_X_ENTRY

UNIT = "ms CPU/poll"
SUBTREES = (IF_ENTRY, IF_X_ENTRY)
TRIES = 3
"""How often a peer may begin anew: on a crowded machine a walk runs into its time limit now and then."""
WALK_SECONDS = 60.0
_SCRAPES = 20
_WALKS = 3


class PeerError(Exception):
    """A peer did not do the work it is measured by; the text says why."""


def tried(name: str, work: Callable[[], Figure]) -> tuple[Figure | None, str]:
    """A peer's figure; None and the reason where it is not on this machine or failed every time it was tried."""
    reason = ""
    for number in range(1, TRIES + 1):
        try:
            return work(), ""
        except MissingServerError:
            return None, "not on this machine"
        except (PeerError, OSError, subprocess.SubprocessError) as error:
            reason = str(error) or type(error).__name__
            print(f"{name}, try {number} of {TRIES}: {reason}", file=sys.stderr)
    return None, f"failed {TRIES} times, the last time: {reason}"


def bulkwalk(port: int, varbinds: int, repeat: int) -> Figure:
    """net-snmp's snmpbulkwalk: user and system time of its process, starting and printing included.

    Raises:
        MissingServerError: it is not on this machine.
        PeerError: a walk failed or was not whole.
    """
    command = [program("snmpbulkwalk"), "-v2c", "-cpublic", "-On", "-Cr25", f"127.0.0.1:{port}"]
    quiet = environment() | {"MIBS": "", "SNMP_PERSISTENT_DIR": "/nonexistent"}

    def walk() -> None:
        found = subprocess.run(
            [*command, "1.3.6.1.2.1"], env=quiet, capture_output=True, check=False, timeout=WALK_SECONDS
        )
        count = found.stdout.count(b"\n")
        if found.returncode:
            raise PeerError(
                f"exit code {found.returncode}: {_last_line(found.stderr.decode(errors='replace'))}"
            )
        if count < varbinds:
            raise PeerError(f"{count} of {varbinds} varbinds")

    return measure_children(walk, repeat=repeat, unit=UNIT)


def exporter(port: int, module: dict[str, object], series: int, repeat: int) -> Figure:
    """Debian's snmp_exporter: CPU time of its process per scrape of /snmp with this module.

    Args:
        module: in the form of its version 0.21, walks and metrics.
        series: samples that a scrape must give.
    Raises:
        MissingServerError: it is not on this machine.
        PeerError: a scrape failed or was not whole.
    """
    command = program("prometheus-snmp-exporter")
    with tempfile.TemporaryDirectory(prefix="sentinel-bench-") as folder:
        file = Path(folder) / "snmp.yml"
        file.write_text(yaml.safe_dump({"bench": module}))
        listen = f"127.0.0.1:{free_port()}"
        started = subprocess.Popen(
            [command, f"--config.file={file}", f"--web.listen-address={listen}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://{listen}/snmp?module=bench&target=127.0.0.1:{port}"
            _wait_for(f"http://{listen}/")
            runs = [_scrapes(started.pid, url, series) for _ in range(repeat + 1)]
        finally:
            started.kill()
            started.wait()
    return Figure(tuple(runs[1:]), UNIT)


def _scrapes(process: int, url: str, series: int) -> float:
    before = _process_cpu_ms(process)
    for _ in range(_SCRAPES):
        text = urllib.request.urlopen(url, timeout=30).read().decode()
        found = len(re.findall(r"(?m)^(?!#|snmp_)", text)) - 1
        if found != series:
            raise PeerError(f"{found} samples, not {series}: {_last_line(text)[:200]}")
    return (_process_cpu_ms(process) - before) / _SCRAPES


def _process_cpu_ms(process: int) -> float:
    """User and system time of a process and all its threads."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url, timeout=1).read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def pysnmp(port: int) -> Figure:
    """pysnmp's bulk walk without MIBs, in a process of its own; its start is not counted.

    Raises:
        PeerError: a walk failed.
    """
    command = [sys.executable, "-m", "bench.snmp_peers", str(port)]
    found = subprocess.run(command, capture_output=True, check=False, text=True, timeout=5 * WALK_SECONDS)
    if found.returncode:
        raise PeerError(_last_line(found.stderr))
    return Figure(tuple(map(float, found.stdout.split())), UNIT)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]


async def _walk(engine: SnmpEngine, port: int) -> int:
    count = 0
    transport = await UdpTransportTarget.create(("127.0.0.1", port), timeout=10)
    for subtree in SUBTREES:
        start = ObjectType(ObjectIdentity(subtree))
        walk = bulk_walk_cmd(
            engine, CommunityData("public"), transport, ContextData(), 0, 25, start, lookupMib=False
        )
        async for error, status, _, binds in walk:
            assert not error, error
            assert not status, status
            inside = [oid for oid, _ in binds if str(oid).startswith(subtree + ".")]
            count += len(inside)
            if len(inside) < len(binds):
                break
    return count


async def _walks(port: int) -> None:
    engine = SnmpEngine()
    await _walk(engine, port)
    for _ in range(_WALKS):
        before = cpu_ms()
        count = await _walk(engine, port)
        print(cpu_ms() - before)
        assert count % len(COLUMNS) == 0, count


if __name__ == "__main__":
    asyncio.run(_walks(int(sys.argv[1])))
