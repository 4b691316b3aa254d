"""/snmp of the whole daemon: polls of targets on demand, and of nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.snmpd import Snmpd


async def test_a_target_is_polled_on_demand_and_other_addresses_only_once_they_are_listed(
    tmp_path: Path,
) -> None:
    with Snmpd() as switch:
        switch.interfaces("lo", "eth0")
        target = f'[[target]]\nname = "sw1"\naddress = "{switch.address}"\nmodules = ["system"]\n'
        daemon = Daemon(tmp_path, target)
        await daemon.start()
        try:
            answers = await asyncio.gather(
                *(daemon.get("/snmp", target=switch.address, module="if_mib,system") for _ in range(5))
            )
            series = 'ifOperStatus{ifAlias="link 2",ifDescr="eth0 port",ifIndex="2",ifName="eth0"} 1.0\n'
            for answer in answers:
                assert answer.status_code == 200, answer.text
                assert series in answer.text
                assert 'snmp_scrape_pdus_returned{module="system"}' in answer.text
            other = f"127.0.0.2:{switch.port}"
            assert (await daemon.get("/snmp", target=other)).status_code == 403

            listed = daemon.config.read_text().replace("[web]\n", '[web]\nsnmp_targets = ["127.0.0.0/8"]\n')
            daemon.config.write_text(listed)
            daemon.hang_up()

            async def polled() -> httpx.Response | None:
                headers = {"X-Prometheus-Scrape-Timeout-Seconds": "1"}
                async with httpx.AsyncClient(base_url=daemon.url, timeout=10, headers=headers) as client:
                    answer = await client.get("/snmp", params={"target": other})
                    return answer if answer.status_code != 403 else None

            answer = await eventually(polled, "the network is listed")
            assert answer.status_code == 500
            assert "127.0.0.2" in answer.text
        finally:
            daemon.kill()
