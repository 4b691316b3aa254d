"""`sentinel topology` from a running daemon that polls the recorded network of five switches."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AsyncExitStack
from pathlib import Path

from tests.acceptance.daemon import Daemon, eventually
from tests.unit.snmp.agent import Agent, read_walk, serving

CASE = Path(__file__).parents[1] / "unit/inventory/cases/five_switches"
SWITCHES = ("core1", "core2", "dist1", "acc1", "acc2")
PARENTS = {"dist1": ["core1", "core2"], "acc1": ["dist1"], "acc2": ["dist1"]}


async def test_the_graph_of_a_polled_network(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        config = ""
        for name in SWITCHES:
            agent = await stack.enter_async_context(serving(Agent(read_walk(CASE / f"{name}.txt"))))
            parent = f"parent = {json.dumps(PARENTS[name])}" if name in PARENTS else ""
            config += (
                f'[[target]]\nname = "{name}"\naddress = "127.0.0.1:{agent.port}"\n'
                f'modules = ["lldp", "cdp", "system", "fdb"]\n{parent}\n'
            )
        daemon = Daemon(tmp_path, config)
        stack.callback(daemon.kill)
        await daemon.start()

        async def is_whole() -> bool:
            found = (await daemon.get("/api/sentinel/v1/topology")).json()
            polls = await daemon.query("sentinel_poll_duration_seconds")
            return len(found["links"]) >= 7 and len(polls) >= 4 * len(SWITCHES)

        await eventually(is_whole, "all switches are polled")
        shown = await asyncio.to_thread(daemon.command, "topology", "-o", "json")
        found = json.loads(shown.stdout)
        links = {
            (one["a"], one["a_port"], one["b"], one["b_port"]): (one["parent"], one["is_mutual"])
            for one in found["links"]
        }
        assert links == {
            ("/00c0ff006666", "eth0", "acc1", "00:C0:FF:00:A1:16"): ("", False),
            ("/00c0ff0066aa", "eth0", "acc1", "00:C0:FF:00:A1:17"): ("", False),
            ("core1", "Te1/0/1", "dist1", "Te0/1"): ("core1", True),
            ("core1", "Te1/0/2", "dist1", "Te0/2"): ("core1", True),
            ("core2", "Te1/0/1", "dist1", "Te0/3"): ("core2", False),
            ("dist1", "Gi0/11", "acc1", "00:C0:FF:00:A1:18"): ("dist1", True),
            ("dist1", "Gi0/12", "acc2", "Gi1/0/48"): ("dist1", True),
        }
        assert all(one["is_current"] for one in found["links"])
        assert {one["state"] for one in found["nodes"] if one["is_target"]} == {"up"}

        drawn = await asyncio.to_thread(daemon.command, "topology", "-o", "dot")
        lines = drawn.stdout.splitlines()
        assert (lines[0], lines[-1]) == ("graph topology {", "}")
        text = r'"(?:[^"\\]|\\.)*"'
        statement = re.compile(rf"  (node|{text}( -- {text})?) \[(\w+=(\w+|{text})(, )?)+\];")
        assert all(statement.fullmatch(line) for line in lines[1:-1])
        assert sum(" -- " in line for line in lines) == 7

        table = await asyncio.to_thread(daemon.command, "topology")
        assert table.returncode == 0
        assert len(table.stdout.splitlines()) == 8
        assert "both ends" in table.stdout
