"""net-snmp's snmptrap and snmpinform, as devices would send."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.servers.debian import environment, program

GENERIC = "1.3.6.1.6.3.1.1.5"
COLD_START, LINK_DOWN, LINK_UP = f"{GENERIC}.1", f"{GENERIC}.3", f"{GENERIC}.4"
IF_INDEX = "1.3.6.1.2.1.2.2.1.1"


def send(
    port: int,
    trap: str,
    *binds: str,
    version: str = "2c",
    community: str = "public",
    source: str = "127.0.0.1",
    inform: bool = False,
    user: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Send one notification to 127.0.0.1:port.

    Args:
        trap: its OID; for version 1 one of the generic traps.
        binds: varbinds in threes: OID, type letter, value.
        user: net-snmp's options for version 3.
    """
    if version == "1":
        what = ["1.3.6.1.4.1.8072.3.2.10", source, str(int(trap.rpartition(".")[2]) - 1), "0", "", *binds]
    else:
        what = ["", trap, *binds]
    proof = user if version == "3" else ("-c", community)
    return run(
        "snmpinform" if inform else "snmptrap",
        *("-v", version, "-r", "1", "-t", "2", *proof, f"--clientaddr={source}", f"127.0.0.1:{port}", *what),
    )


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory(prefix="sentinel-snmptrap-") as folder:
        quiet = {"MIBS": "", "SNMP_PERSISTENT_DIR": str(Path(folder) / "state"), "SNMPCONFPATH": folder}
        return subprocess.run(
            [program(name), *words],
            env=environment() | quiet,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
