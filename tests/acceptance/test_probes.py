"""Probes of the whole daemon: from a URL in the configuration to series, an incident's cause and /probe."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.daemon import Daemon, eventually
from tests.servers.debian import ROOT
from tests.servers.outside import Web, page, talking

TARGETS = """
[[target]]
name = "shop"
address = "http://127.0.0.1:{port}/good"
modules = ["http_2xx", "tcp_connect"]
labels = {{site = "north"}}

[[target]]
name = "sick"
address = "http://127.0.0.1:{port}/bad"
modules = ["http_2xx"]
"""


async def test_a_target_by_its_url_is_probed_and_a_fault_is_told_with_its_reason(tmp_path: Path) -> None:
    web = Web({"/good": page(b"hello"), "/bad": page(b"sorry", "503 Not Now")})
    async with talking(web.talk) as port:
        daemon = Daemon(tmp_path, TARGETS.format(port=port), (ROOT / "rules/probes.yml").read_text())
        text = daemon.config.read_text()
        daemon.config.write_text(text.replace(f"{ROOT}/collectors/ssh/", f"{ROOT}/collectors/probes/"))
        daemon.rules.write_text(daemon.rules.read_text().replace("for: 2m", "for: 1s"))
        await daemon.start()
        try:

            async def seen() -> bool:
                return len(await daemon.query("probe_success")) == 3

            await eventually(seen, "three probes")
            found = {
                (one["metric"]["instance"], one["metric"]["job"]): one["value"][1]
                for one in await daemon.query("probe_success")
            }
            assert found == {
                ("shop", "http_2xx"): "1",
                ("shop", "tcp_connect"): "1",
                ("sick", "http_2xx"): "0",
            }
            assert {one["value"][1] for one in await daemon.query('up{job!="sentinel"}')} == {"1"}
            (north,) = await daemon.query('probe_http_status_code{site="north"}')
            assert north["value"][1] == "200"
            (why,) = await daemon.query("sentinel_probe_failed")
            assert (why["metric"]["instance"], why["metric"]["reason"]) == ("sick", "status")

            async def firing() -> bool:
                alerts = (await daemon.get("/api/v1/alerts")).json()["data"]["alerts"]
                texts = [one["annotations"]["description"] for one in alerts if one["state"] == "firing"]
                return any("of sick has failed" in text and "(status)" in text for text in texts)

            await eventually(firing, "the alert with its reason")
            answer = await daemon.get("/probe", target=f"http://127.0.0.1:{port}/bad")
            assert "\nprobe_http_status_code 503.0\n" in answer.text
            for other in (f"http://127.0.0.1:{port}/", f"http://127.0.0.2:{port}/bad", "169.254.169.254"):
                assert (await daemon.get("/probe", target=other)).status_code == 403
        finally:
            daemon.kill()
