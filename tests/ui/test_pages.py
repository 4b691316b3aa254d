"""The pages in a real browser, over fakes of the rooms below."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, expect

from sentinel.model.alert import AlertState
from sentinel.model.incident import Grade, IncidentState
from tests.ui.conftest import Site, Visit
from tests.unit.web.fakes import TOKEN, alert, incident, poll, vector

MAX_TRANSFER = 60 * 1024
HOSTILE = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script><b id=evil>\'{{7*7}}'

PAINTED = """
Math.max(
  performance.getEntriesByType("paint").find((entry) => entry.name === "first-contentful-paint").startTime,
  performance.getEntriesByType("navigation")[0].domInteractive)
"""
"""Milliseconds from asking for the page until it is painted and all of it is there."""

Open = Callable[..., Awaitable[Visit]]


def _fill(site: Site, count: int) -> None:
    now = time.time()
    sites = ("Beijing", "Shanghai", "Shenzhen", "Chengdu")
    site.rooms.fleet.polls = [
        poll(f"host{index:04}", labels={"site": sites[index % 4]}, up=index % 40 != 7, now=now)
        for index in range(count)
    ]
    for number in range(1, 13):
        state = IncidentState.OPEN if number % 3 else IncidentState.ACKNOWLEDGED
        grade = tuple(Grade)[number % 4]
        site.rooms.incidents.stories[number] = incident(
            number, grade, state, target=f"host{number:04}", now=now
        )
    site.rooms.alerts.alerts = [alert("DiskFull", f"host{index:04}") for index in range(5)]


async def test_a_wall_of_200_is_light_and_quick_and_obeys_its_policy(site: Site, visit: Open) -> None:
    _fill(site, 200)
    opened = await visit()
    page = opened.page
    await expect(page.locator("a.tile")).to_have_count(200)
    visible = await page.evaluate(PAINTED)
    await expect(page.locator("#link")).to_have_attribute("data-state", "live")
    assert visible < 1500, f"visible after {visible:.0f} ms"
    assert opened.transferred <= MAX_TRANSFER, f"{opened.transferred} bytes"
    assert opened.outside == []
    assert opened.errors == []
    assert await opened.violations() == []


async def test_a_wall_of_2500_is_visible_within_three_seconds(site: Site, visit: Open) -> None:
    _fill(site, 2500)
    opened = await visit()
    await expect(opened.page.locator("a.tile")).to_have_count(2500)
    visible = await opened.page.evaluate(PAINTED)
    assert visible < 3000, f"visible after {visible:.0f} ms"


@pytest.mark.parametrize("path", ["/", "/incidents", "/incidents/1", "TARGET"])
async def test_hostile_text_creates_no_element(site: Site, visit: Open, path: str) -> None:
    bad = alert("HostDown", HOSTILE, summary=HOSTILE, description=HOSTILE, runbook_url="javascript:alert(1)")
    site.rooms.fleet.polls = [poll(HOSTILE, HOSTILE, labels={"site": HOSTILE}, detail=HOSTILE)]
    site.rooms.alerts.alerts = [bad, replace(bad, state=AlertState.UNKNOWN)]
    site.rooms.incidents.stories = {1: incident(1, title=HOSTILE, target=HOSTILE, alerts=(bad,))}
    samples = vector(({"__name__": "up", "ifAlias": HOSTILE}, 1.0))
    site.rooms.expressions.answers['{instance="' + HOSTILE.replace('"', '\\"') + '"}'] = samples
    opened = await visit("/targets/" + quote(HOSTILE, safe="") if path == "TARGET" else path)
    page = opened.page
    await expect(page.locator("#link")).to_have_attribute("data-state", "live")
    # What changes later comes over the stream: it has to be as harmless.
    site.rooms.fleet.polls.append(poll(HOSTILE + "2", HOSTILE, up=False, detail=HOSTILE))
    site.rooms.incidents.stories[2] = incident(2, title=HOSTILE + "2", target=HOSTILE)
    if path == "/":
        await expect(page.locator("a.tile")).to_have_count(2)
        await expect(page.locator(".incident-list li")).to_have_count(2)
        await page.locator("button[data-act]").first.click()
        await expect(page.locator("#act")).to_be_visible()
    assert await page.locator("img, #evil, main script").count() == 0
    assert await page.evaluate("window.pwned") is None
    assert await page.locator("a[href^='javascript']").count() == 0
    assert await page.get_by_text("onerror").count() > 0
    assert "49" not in await page.locator("main h1").first.inner_text()
    assert await opened.violations() == []
    assert opened.errors == []


async def test_a_change_shows_without_reloading_and_keeps_the_focus(site: Site, visit: Open) -> None:
    _fill(site, 20)
    page = (await visit()).page
    await expect(page.locator("#link")).to_have_attribute("data-state", "live")
    await page.locator("a.tile", has_text="host0002").focus()
    site.rooms.fleet.polls[3] = poll("host0003", labels={"site": "Chengdu"}, up=False, detail="refused")
    tile = page.locator("a.tile", has_text="host0003")
    await expect(tile).to_have_class("tile s-down")
    await expect(tile.locator(".vh")).to_have_text("down ")
    assert await page.evaluate("document.activeElement.textContent.includes('host0002')")
    await page.keyboard.press("ArrowRight")
    assert await page.evaluate("document.activeElement.classList.contains('tile')")


async def test_a_restart_shows_as_reconnecting_and_then_everything_is_there(site: Site, visit: Open) -> None:
    _fill(site, 10)
    page = (await visit()).page
    link = page.locator("#link")
    await expect(link).to_have_text("live")
    await site.stop()
    await expect(link).to_have_text("reconnecting")
    site.rooms.fleet.polls.append(poll("newcomer"))
    site.start()
    began = time.monotonic()
    await expect(link).to_have_text("live", timeout=5000)
    await expect(page.locator("a.tile", has_text="newcomer")).to_be_visible()
    assert time.monotonic() - began < 5


async def test_acknowledging_takes_a_token_and_shows_the_owner(site: Site, visit: Open) -> None:
    site.rooms.incidents.stories[7] = incident(
        7, Grade.I, title="Core switch does not answer", now=time.time()
    )
    opened = await visit()
    page = opened.page
    await page.get_by_role("button", name="Acknowledge").click()
    await page.locator("#act-token").fill("wrong")
    await page.locator("#act-go").click()
    await expect(page.locator("#act-error")).to_have_text("The token was refused.")
    await page.locator("#act-token").fill(TOKEN)
    await page.locator("#act-text").fill("on my way")
    await page.locator("#act-go").click()
    await expect(page.locator("#act")).to_be_hidden()
    await expect(page.locator(".owner")).to_have_text("✓ li.wei")
    assert site.rooms.incidents.stories[7].entries[-1].text == "on my way"
    # The token stays in this tab alone.
    assert await page.evaluate("sessionStorage.getItem('token')") == TOKEN
    assert await page.evaluate("JSON.stringify(localStorage) + document.cookie") == "{}"
    await page.goto(site.url + "/incidents/7")
    await page.get_by_role("button", name="Add note").click()
    await page.locator("#act-text").fill("cable replaced")
    await page.keyboard.press("Tab")
    await page.locator("#act-go").press("Enter")
    await expect(page.locator(".timeline")).to_contain_text("cable replaced")
    assert [error for error in opened.errors if "401" not in error] == []
    assert await opened.violations() == []


async def test_the_theme_is_the_systems_until_somebody_chooses(site: Site, visit: Open) -> None:
    page = (await visit(color_scheme="dark")).page
    background = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(background)
    await page.locator("#theme").click()
    light = await page.evaluate(background)
    assert dark != light
    await page.reload()
    assert await page.evaluate(background) == light


@pytest.mark.parametrize("path", ["/", "/incidents/1", "/targets/host0001"])
async def test_a_phone_shows_everything_without_scrolling_sideways(
    site: Site, visit: Open, path: str
) -> None:
    _fill(site, 40)
    site.rooms.incidents.stories[1] = incident(1, title="x" * 120, now=time.time())
    page = (await visit(path, viewport={"width": 360, "height": 740})).page
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360


async def test_without_scripts_the_page_still_tells_the_state(site: Site, browser: Browser) -> None:
    _fill(site, 5)
    page = await (await browser.new_context(java_script_enabled=False)).new_page()
    await page.goto(site.url + "/")
    assert await page.locator("a.tile").count() == 5
    assert "scripts are off" in await page.locator("#link").inner_text()


async def test_the_keyboard_reaches_everything_that_can_be_clicked(site: Site, visit: Open) -> None:
    _fill(site, 3)
    page = (await visit()).page
    wanted = await page.locator("a[href]:visible, button:visible").count()
    reached = set()
    for _ in range(wanted + 5):
        await page.keyboard.press("Tab")
        reached.add(
            await page.evaluate(
                "[...document.querySelectorAll('a[href], button')].indexOf(document.activeElement)"
            )
        )
    assert len(reached - {-1}) >= wanted
