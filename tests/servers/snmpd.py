"""A real net-snmp agent on a loopback port, whose values tests change while it runs.

    with Snmpd() as agent:
        agent.interfaces("lo", "eth0", "eth1")
        agent.link(2, up=False)
        agent.stop()
        agent.start()

Values set here come from a `pass_persist` script that reads a table file anew for each request; everything else
(system, host resources) is the agent's own view of this machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.debian import environment, free_port, program

COMMUNITY = "public"
_START_SECONDS = 20.0

INTERFACES = ("1.3.6.1.2.1.2", "1.3.6.1.2.1.31.1.1")
"""IF-MIB's interfaces and ifXTable."""

IF_ENTRY = "1.3.6.1.2.1.2.2.1"
IF_X_ENTRY = "1.3.6.1.2.1.31.1.1.1"

_SYSTEM_GET = bytes.fromhex(
    "302902010104067075626c6963a01c020401000000020100020100300e300c06082b060102010103000500"
)
"""GET sysUpTime.0 with community public, to see whether the agent answers."""

_RESPONDER = r"""
import sys

def key(oid):
    return tuple(int(part) for part in oid.strip(".").split("."))

def table(path):
    rows = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            oid, kind, value = line.rstrip("\n").split("\t", 2)
            rows[key(oid)] = (kind, value)
    return rows

def answer(rows, oid):
    kind, value = rows[oid]
    print("." + ".".join(map(str, oid)), kind, value, sep="\n", flush=True)

while True:
    command = sys.stdin.readline().strip()
    if not command:
        break
    if command == "PING":
        print("PONG", flush=True)
        continue
    wanted = key(sys.stdin.readline())
    rows = table(sys.argv[1])
    if command == "getnext":
        later = [oid for oid in rows if oid > wanted]
        wanted = min(later) if later else None
    if wanted in rows:
        answer(rows, wanted)
    else:
        print("NONE", flush=True)
"""


class Snmpd:
    """net-snmp's snmpd as the current user, with a configuration of its own.

    Args:
        serve: subtrees that are answered from `set` alone instead of by the agent.
        config: further lines of snmpd.conf.
        remembers: keep the version 3 name from one start to the next, and count the starts.
        host: loopback address to listen on.
        port: to listen on; 0: a free one.
        name: sysName.
    """

    def __init__(
        self,
        *,
        serve: tuple[str, ...] = INTERFACES,
        config: str = "",
        remembers: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        name: str = "sentinel-test",
    ) -> None:
        self.host, self.port = host, port or free_port(socket.SOCK_DGRAM)
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix="sentinel-snmpd-"))
        self._table = self._folder / "table"
        self._rows: dict[tuple[int, ...], tuple[str, str]] = {}
        self._serve, self._more, self._remembers = serve, config, remembers
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """HOST:PORT, as a target's address."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        self._write()
        script = self._folder / "responder.py"
        script.write_text(_RESPONDER)
        lines = [
            f"rocommunity {COMMUNITY} 127.0.0.1",
            f"rocommunity6 {COMMUNITY} ::1",
            f"sysName {self._name}",
            "sysLocation test rack",
            "sysContact nobody",
            *(f"pass_persist .{oid} {sys.executable} {script} {self._table}" for oid in self._serve),
            self._more,
        ]
        (self._folder / "snmpd.conf").write_text("\n".join(lines) + "\n")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start (again) on the same port; returns when it answers."""
        if self._process is not None:
            return
        files = [
            self._folder / "snmpd.conf",
            *([self._folder / "state/snmpd.conf"] if self._remembers else []),
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program("snmpd"),
                    # Without its own interface tables, which would answer behind the end of ours.
                    *(
                        "-I",
                        "-ifTable,ifXTable",
                        "-f",
                        "-Lo",
                        "-C",
                        "-c",
                        ",".join(map(str, files)),
                        f"{'udp6' if ':' in self.host else 'udp'}:{self.address}",
                    ),
                ],
                stdout=log,
                stderr=log,
                env=environment() | {"SNMP_PERSISTENT_DIR": str(self._folder / "state"), "MIBS": ""},
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """The agent disappears; nothing listens on its port."""
        if self._process is not None:
            # The responders are its children: end the whole group that was started here.
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(timeout=10)
            self._process = None

    def set(self, oid: str, kind: str, value: str | int) -> None:
        """Answer with this from now on.

        Args:
            kind: net-snmp word: integer, gauge, counter, counter64, timeticks, string, octet, objectid, ipaddress.
        """
        self._rows[_key(oid)] = (kind, str(value))
        self._write()

    def unset(self, oid: str) -> None:
        """Take an instance, or everything below an OID, away."""
        prefix = _key(oid)
        self._rows = {row: value for row, value in self._rows.items() if row[: len(prefix)] != prefix}
        self._write()

    def interfaces(self, *names: str) -> None:
        """Interfaces 1, 2, … with these names, all up, 1 Gbit/s, with a few counters."""
        self._rows[_key("1.3.6.1.2.1.2.1.0")] = ("integer", str(len(names)))
        for index, name in enumerate(names, 1):
            for column, kind, value in _interface(index, name):
                self._rows[_key(f"{column}.{index}")] = (kind, value)
        self._write()

    def link(self, index: int, *, up: bool, admin: bool = True) -> None:
        """Take an interface's link up or down (`admin=False`: switched off by a person)."""
        self._rows[_key(f"{IF_ENTRY}.7.{index}")] = ("integer", "1" if admin else "2")
        self.set(f"{IF_ENTRY}.8.{index}", "integer", 1 if up and admin else 2)

    def _write(self) -> None:
        """Replaced as a whole: a request that comes meanwhile sees the old table or the new one."""
        lines = [
            f"{'.'.join(map(str, oid))}\t{kind}\t{value}\n"
            for oid, (kind, value) in sorted(self._rows.items())
        ]
        fresh = self._folder / "table.new"
        fresh.write_text("".join(lines), encoding="utf-8")
        fresh.replace(self._table)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            probe.connect((self.host, self.port))
            while time.monotonic() < deadline:
                assert self._process is not None
                if self._process.poll() is not None:
                    raise RuntimeError(f"snmpd ended with {self._process.returncode}: {self.log}")
                try:
                    probe.send(_SYSTEM_GET)
                    probe.recv(2048)
                except (TimeoutError, ConnectionRefusedError):
                    time.sleep(0.02)
                else:
                    return
        raise RuntimeError(f"snmpd does not answer on {self.address}: {self.log}")


def _key(oid: str) -> tuple[int, ...]:
    return tuple(int(part) for part in oid.strip(".").split("."))


def _interface(index: int, name: str) -> list[tuple[str, str, str]]:
    """Columns of IF-MIB (RFC 2863) with net-snmp's type words."""
    base, more = IF_ENTRY, IF_X_ENTRY
    counters = [
        (f"{base}.{column}", "counter", str(column * 1000 + index))
        for column in range(10, 21)
        if column not in (12, 18)
    ]
    wide = [(f"{more}.{column}", "counter64", str(column * 10**10 + index)) for column in range(6, 14)]
    return [
        (f"{base}.1", "integer", str(index)),
        (f"{base}.2", "string", f"{name} port"),
        (f"{base}.3", "integer", "24" if name == "lo" else "6"),
        (f"{base}.4", "integer", "1500"),
        (f"{base}.5", "gauge", "1000000000"),
        (f"{base}.6", "octet", f"02 00 00 00 00 {index:02X}"),
        (f"{base}.7", "integer", "1"),
        (f"{base}.8", "integer", "1"),
        (f"{base}.9", "timeticks", "0"),
        *counters,
        (f"{more}.1", "string", name),
        *((f"{more}.{column}", "counter", str(column * 100 + index)) for column in range(2, 6)),
        *wide,
        (f"{more}.14", "integer", "1"),
        (f"{more}.15", "gauge", "1000"),
        (f"{more}.16", "integer", "2"),
        (f"{more}.17", "integer", "1"),
        (f"{more}.18", "string", f"link {index}"),
        (f"{more}.19", "timeticks", "0"),
    ]
