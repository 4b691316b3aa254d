"""docs/overview.png from a running daemon: `make screenshot`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.browser import browser
from tests.servers.debian import ROOT
from tests.servers.snmpd import Snmpd
from tests.servers.sshd import Sshd

RULES = """
groups:
  - name: tour
    rules:
      - alert: InterfaceDown
        expr: ifAdminStatus == 1 and ifOperStatus == 2
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.ifName }} on {{ $labels.instance }} is down"}
      - alert: FileSystemFull
        expr: node_filesystem_avail_bytes{mountpoint="DISK"} / node_filesystem_size_bytes < 0.1
        labels: {severity: warning}
        annotations: {summary: "File system on {{ $labels.instance }} has {{ $value | humanizePercentage }} left"}
      - alert: HostDown
        expr: up == 0
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.instance }} cannot be read"}
"""


def _target(name: str, address: str, module: str, site: str, criticality: int = 3, auth: str = "") -> str:
    lines = [
        "[[target]]",
        f'name = "{name}"',
        f'address = "{address}"',
        f'modules = ["{module}"]',
        f'labels = {{site = "{site}"}}',
        f"criticality = {criticality}",
        'interval = "4s"',
        'timeout = "4s"',
    ]
    return "\n".join([*lines, f'auth = "{auth}"' if auth else "", ""])


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="sentinel-tour-") as name:
        folder = Path(name)
        with (
            Snmpd() as core,
            Snmpd() as access,
            Sshd(folder / "north") as north,
            Sshd(folder / "south") as south,
        ):
            core.interfaces("lo", "xe-0/0/1", "xe-0/0/2")
            access.interfaces("lo", "ge-0/0/1", "ge-0/0/2")
            config = [
                f'[auth.{site}]\nkind = "ssh"\nusername = "{host.username}"\n'
                f'key = {{file = "{host.private_key_path}"}}\nknown_hosts = "{host.known_hosts}"\n'
                for site, host in (("north", north), ("south", south))
            ]
            config += [_target("core-1", core.address, "if_mib", "north", 5)]
            config += [_target(f"access-{n}", access.address, "if_mib", "north", 2) for n in range(1, 7)]
            config += [_target(f"web-{n}", north.address, "linux", "north", 4, "north") for n in range(1, 5)]
            config += [_target(f"db-{n}", south.address, "linux", "south", 4, "south") for n in range(1, 4)]
            config += [_target("backup-1", "127.0.0.1:9", "linux", "south", 3, "south")]
            daemon = Daemon(folder, "".join(config), RULES.replace("DISK", str(south.disk)))
            try:
                await daemon.start()
                await eventually(
                    lambda: daemon.query('count(up{job=~"if_mib|linux"} == 1) == 14'), "all are up"
                )
                core.link(2, up=False)
                south.fill()
                await eventually(lambda: _incidents(daemon, 5), "incidents are open")
                token = daemon.command("token", "create", "li.wei").stdout.strip()
                daemon.command("incidents", "ack", "1", "--note", "on my way", SENTINEL_TOKEN=token)
                await _shoot(daemon.url, ROOT / "docs/overview.png")
            finally:
                daemon.stop()


async def _incidents(daemon: Daemon, count: int) -> bool:
    return len((await daemon.get("/api/sentinel/v1/incidents")).json()) >= count


async def _shoot(url: str, file: Path) -> None:
    async with browser() as chromium:
        page = await chromium.new_page(viewport={"width": 1200, "height": 560}, device_scale_factor=1.5)
        await page.goto(url)
        await page.get_by_role("status").filter(has_text="live").wait_for()
        await page.screenshot(path=str(file))


if __name__ == "__main__":
    asyncio.run(main())
