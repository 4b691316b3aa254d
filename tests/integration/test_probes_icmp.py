"""Echo requests on a network of their own: by datagram sockets without privilege, and by raw ones.

The script runs in a user and network namespace, where loopback is the whole world and the group range is ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.servers.debian import ROOT

SCRIPT = """
import asyncio, fcntl, json, socket, struct, sys
from pathlib import Path

with socket.socket() as sock:  # loopback up: SIOCSIFFLAGS, IFF_UP
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", 1))
if sys.argv[1]:  # else as a new network has it: no group at all
    Path("/proc/sys/net/ipv4/ping_group_range").write_text(sys.argv[1])

from sentinel.collect.probes.driver import ProbeDriver
from sentinel.runtime.clock import SystemClock
from tests.unit.probes.asking import Answer, ask, module, place


async def main():
    found = {}
    for address in ("127.0.0.1", "127.9.9.9", "::1"):
        answer = await ask(module("icmp"), address)
        found[address] = answer.values | {"reason": answer.reason}
    sized = module("icmp", payload_size=1400, dont_fragment=True, ttl=9, source_ip_address="127.0.0.5")
    found["sized"] = (await ask(sized, "127.0.0.1")).values
    found["nowhere"] = {"reason": (await ask(module("icmp"), "192.0.2.1", timeout=0.3)).reason}
    driver = ProbeDriver({"m": module("icmp")}, clock=SystemClock())
    collectors = [driver.open(place(f"127.0.{i // 250}.{i % 250 + 1}"), "m") for i in range(1000)]
    readings = await asyncio.gather(*(one.poll(at=0, timeout=10) for one in collectors))
    found["many"] = {"success": sum(Answer(one)["probe_success"] for one in readings)}
    sockets = list(driver._echoes._sockets.values())
    found["many"] |= {"sockets": len(sockets), "raw": sockets[0]._is_raw}
    await driver.close()
    print(json.dumps(found))


asyncio.run(main())
"""


def probed(groups: str) -> dict[str, Any]:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", SCRIPT, groups],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("groups", "is_raw"), [("0 0", False), ("", True)])
def test_replies_reach_who_asked(groups: str, is_raw: bool) -> None:
    found = probed(groups)
    for address in ("127.0.0.1", "127.9.9.9", "::1"):
        assert found[address]["probe_success"] == 1, found[address]
        assert found[address]["probe_icmp_reply_hop_limit"] == 64
        assert found[address]["probe_ip_protocol"] == (6 if ":" in address else 4)
    assert found["sized"]["probe_success"] == 1
    assert found["nowhere"]["reason"] in ("unreachable", "timeout")
    assert found["many"] == {"success": 1000, "sockets": 1, "raw": is_raw}
