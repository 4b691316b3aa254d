"""Why an alert was told or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sentinel.model.alert import AlertState
from sentinel.notify.decision import Circumstances, Obstacle, Why
from sentinel.notify.explaining import Explainer, Explanation, NoSuchAlertError
from tests.integration.telling import Telling, telling
from tests.unit.incidents.alerts import START, firing, resolved

BY_NAME = {"receiver": "ops", "group_by": ["alertname"], "group_wait": "30s", "group_interval": "5m"}


async def explained(room: Telling, change: Any) -> Explanation:
    explainer = Explainer(room.db, room.clock, lambda: room.dispatch)
    return await explainer.explain(change.alert.fingerprint[:8])


async def test_an_alert_that_was_told(tmp_path: Path) -> None:
    async with telling(tmp_path, {"receiver": "ops", "repeat_interval": "1h"}) as room:
        change = firing()
        await room.at(0, change)
        found = await explained(room, change)
        assert (found.alert.state, found.receivers) == (AlertState.FIRING, ("ops",))
        (place,) = found.places
        assert (place.told, place.sent_at, place.key) == ("firing", START, "incident 1")
        assert (place.next_at, place.next_event, place.next_reason) == (
            START + 3600,
            "firing",
            "still firing",
        )
        assert [(one.receiver, one.event, one.state) for one in found.heard] == [("ops", "firing", "pending")]
        assert found.verdict == "on its way to ops"


async def test_an_alert_whose_group_waits(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        change = firing()
        await room.at(0, change)
        found = await explained(room, change)
        (place,) = found.places
        assert (place.next_at, place.next_event, place.told) == (START + 30, "firing", "")
        assert place.key == '{}:{alertname="Down"}'
        assert found.verdict == "not told yet: its group waits for company"


async def test_an_alert_that_is_silenced(tmp_path: Path) -> None:
    silence = Obstacle(Why.SILENCE, "li.wei: works on it", START + 600, "id")
    async with telling(tmp_path, circumstances=Circumstances(mutes=lambda *_: [silence])) as room:
        change = firing()
        await room.at(0, change)
        found = await explained(room, change)
        assert found.places[0].obstacles == (silence,)
        assert found.verdict == "ops not told now: silence: li.wei: works on it"


async def test_an_alert_that_nobody_is_to_hear_of(tmp_path: Path) -> None:
    async with telling(tmp_path, {"receiver": "nobody"}) as room:
        change = firing()
        await room.at(0, change)
        found = await explained(room, change)
        assert (found.places, found.heard) == ((), ())
        assert found.verdict == "not told: nobody is told by its route"


async def test_an_alert_that_is_pending_or_over(tmp_path: Path) -> None:
    async with telling(tmp_path, BY_NAME) as room:
        waits = firing(instance="sw2")
        pending = replace(waits, alert=replace(waits.alert, state=AlertState.PENDING, fired_at=None))
        await room.at(0, firing(), pending)
        assert (await explained(room, pending)).verdict.startswith("not told: it is pending")
        await room.at(10, resolved(at=START + 10))
        await room.at(100)
        assert (
            await explained(room, firing())
        ).verdict == "not told: it was over before anybody was to be told"


async def test_an_alert_that_is_not_there(tmp_path: Path) -> None:
    async with telling(tmp_path) as room:
        explainer = Explainer(room.db, room.clock, lambda: room.dispatch)
        for text in ("", "abc", "0123456789abcdef", "%%%%", "a_b_"):
            with pytest.raises(NoSuchAlertError):
                await explainer.explain(text)
