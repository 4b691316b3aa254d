from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest

from sentinel.model.alert import AlertState
from sentinel.model.incident import IncidentState
from sentinel.web.addresses import is_safe_address, safe_link
from tests.unit.web.fakes import Rooms, alert, incident, poll, vector

HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'{{7*7}}<a hx-get=/x>\ud800"


class Elements(HTMLParser):
    """Collects what a browser would make elements of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.fixture
def hostile(rooms: Rooms) -> Rooms:
    """Every text that comes from a device or a rule attacks."""
    bad = alert("HostDown", HOSTILE, summary=HOSTILE, description=HOSTILE, runbook_url="javascript:alert(1)")
    rooms.fleet.polls = [poll(HOSTILE, HOSTILE, up=False, labels={"site": HOSTILE}, detail=HOSTILE)]
    rooms.alerts.alerts = [bad, replace(bad, state=AlertState.UNKNOWN, fingerprint="b")]
    rooms.incidents.stories = {1: incident(1, title=HOSTILE, target=HOSTILE, alerts=(bad,))}
    rooms.health.unready_because = [HOSTILE]
    return rooms


@pytest.mark.parametrize("path", ["/", "/incidents", "/incidents/1", "TARGET"])
async def test_hostile_text_becomes_no_element_and_no_attribute(
    client: httpx.AsyncClient, hostile: Rooms, path: str
) -> None:
    if path == "TARGET":
        name = "evil<img src=x onerror=alert(1)>\"'"
        hostile.fleet.polls = [poll(name, HOSTILE, labels={"site": HOSTILE}, detail=HOSTILE)]
        hostile.alerts.alerts = [alert("A", name, summary=HOSTILE)]
        samples = vector(({"__name__": "up", "ifAlias": HOSTILE}, 1.0))
        hostile.expressions.answers[r'{instance="evil<img src=x onerror=alert(1)>\"' + "'\"}"] = samples
        path = "/targets/evil%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E%22'"
    answer = await client.get(path)
    assert answer.status_code == 200
    page = Elements(answer.text)
    assert "img" not in page.tags
    assert page.tags.count("script") == 4
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert not [value for name, value in page.attributes if name == "href" and "javascript" in (value or "")]
    assert "49" not in re.findall(r">(\d+)<", answer.text)
    assert "&lt;img" in answer.text


@pytest.mark.parametrize(
    ("address", "is_safe"),
    [
        ("https://runbooks.example.org/HostDown#steps", True),
        ("http://10.0.0.1/x?a=b", True),
        ("/runbooks/HostDown", True),
        ("runbooks/HostDown.md", True),
        ("javascript:alert(1)", False),
        ("JavaScript:alert(1)", False),
        ("java\nscript:alert(1)", False),
        (" javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("vbscript:x", False),
        ("//evil.example/x", False),
        ("/\\evil.example", False),
        ("\\\\evil.example", False),
        ("https:evil", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_only_addresses_that_load_a_page_become_links(address: str, is_safe: bool) -> None:
    assert is_safe_address(address) is is_safe
    if not is_safe:
        assert "<a" not in str(safe_link(address)) or is_safe_address(address.strip())


def test_a_relative_address_starts_at_the_root_on_every_page() -> None:
    assert 'href="/runbooks/HostDown"' in str(safe_link("runbooks/HostDown"))
    assert 'href="/runbooks/HostDown"' in str(safe_link("/runbooks/HostDown"))
    assert 'href="https://a.example/"' in str(safe_link("https://a.example/"))


async def test_an_incident_shows_its_story(client: httpx.AsyncClient, rooms: Rooms) -> None:
    member = alert("HostDown", "web1", runbook_url="/runbooks/HostDown")
    rooms.incidents.stories = {
        1: incident(1, alerts=(member,)),
        2: incident(2, state=IncidentState.RESOLVED),
    }
    html = (await client.get("/incidents/1")).text
    assert '<a href="/runbooks/HostDown"' in html
    assert 'data-act="acknowledge"' in html
    assert "webhook duty" in html
    resolved = (await client.get("/incidents/2")).text
    assert "data-act=" not in resolved
    assert "its alerts cleared" in resolved


async def test_a_target_shows_polls_alerts_and_samples(client: httpx.AsyncClient, rooms: Rooms) -> None:
    rooms.fleet.polls = [poll("web1", up=False, detail="no answer within 10 s")]
    rooms.alerts.alerts = [alert("HostDown", "web1")]
    rooms.expressions.answers['{instance="web1"}'] = vector(({"__name__": "up", "instance": "web1"}, 0.0))
    html = (await client.get("/targets/web1")).text
    assert "no answer within 10 s" in html
    assert "HostDown on web1" in html
    assert "<code>up{}</code>" in html


@pytest.mark.parametrize(
    "path",
    ["/targets/nothing", "/incidents/99", "/incidents/x", "/runbooks/..%2f..%2fetc%2fpasswd", "/nothing"],
)
async def test_what_is_not_there_says_so(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert "passwd" not in answer.text


async def test_the_language_is_asked_for_remembered_or_the_browsers(client: httpx.AsyncClient) -> None:
    assert '<html lang="en">' in (await client.get("/")).text
    browsers = {"Accept-Language": "fr;q=0.3, zh-CN, en;q=0.5"}
    assert '<html lang="zh-CN">' in (await client.get("/", headers=browsers)).text
    asked = await client.get("/?lang=zh-CN")
    assert "状态墙" in asked.text
    assert "lang=zh-CN" in asked.headers["set-cookie"]
    assert '<html lang="zh-CN">' in (await client.get("/", headers={"Cookie": "lang=zh-CN"})).text
    assert "set-cookie" not in (await client.get("/?lang=xx")).headers


async def test_static_files_are_kept_for_ever_under_names_that_change(client: httpx.AsyncClient) -> None:
    html = (await client.get("/")).text
    addresses = re.findall(r'"(/static/[^"]+)"', html)
    assert len(addresses) == 6
    for address in addresses:
        answer = await client.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await client.get("/static/sentinel.css")).status_code == 404
    assert (await client.get("/static/../app.py")).status_code == 404
