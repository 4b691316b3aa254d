"""The same acts on silences, here and in a real Alertmanager: what is taken, kept, replaced, and what is muted."""

from __future__ import annotations

import asyncio
import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sentinel.db.database import Database
from sentinel.notify.mutes.drafts import InvalidSilenceError
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.silence import Draft, read_matchers, written_matchers
from sentinel.notify.mutes.silences import Silences
from sentinel.runtime.clock import SystemClock
from tests.acceptance.daemon import eventually
from tests.servers.alertmanager import Alertmanager

ACTS = 250
HOUR = 3600.0
NAMES = ("alertname", "instance", "job", "absent")
VALUES = ("", "a", "b", "a.b", "ab")
EXPRESSIONS = ("", "a", "a|b", "a.*", ".*", ".+", "a.b", "[ab]", "[", "(?i)A", "^a$", "a?")


def asked(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def matchers(dice: random.Random) -> list[dict[str, Any]]:
    found = []
    for _ in range(dice.choice((0, 1, 1, 1, 2, 2, 3))):
        is_regex = dice.random() < 0.4
        value = dice.choice(EXPRESSIONS if is_regex else VALUES)
        is_equal = dice.random() < 0.7
        found.append({"name": dice.choice(NAMES), "value": value, "isRegex": is_regex, "isEqual": is_equal})
    return found


def times(dice: random.Random, now: float) -> tuple[float, float]:
    """Far enough from now that it does not matter how long an act takes."""
    hours = [dice.choice((-3, -2, -1, 1, 2, 3)) for _ in range(2)]
    return now + hours[0] * HOUR, now + hours[1] * HOUR + HOUR / 2


class Pair:
    """One silence here is one there."""

    def __init__(self, silences: Silences, url: str, dice: random.Random) -> None:
        self.silences = silences
        self.url = url
        self.dice = dice
        self.theirs: dict[str, str] = {}
        """Their ids, by ours."""

    async def write(self, now: float) -> None:
        dice = self.dice
        given, (start, end), id_ = matchers(dice), times(dice, now), ""
        their_start = written(start)
        if self.theirs and dice.random() < 0.6:
            id_ = dice.choice(list(self.theirs))
            before = self.silences.get(id_)
            if dice.random() < 0.7:
                given = written_matchers(before.matchers)
            if dice.random() < 0.7:
                start = before.starts_at
                there = await asyncio.to_thread(asked, f"{self.url}/api/v2/silence/{self.theirs[id_]}")
                their_start = there[1]["startsAt"]
        body = {"matchers": given, "startsAt": their_start, "endsAt": written(end)}
        body |= {"comment": "c", "createdBy": "x"} | ({"id": self.theirs[id_]} if id_ else {})
        status, answer = await asyncio.to_thread(asked, f"{self.url}/api/v2/silences", "POST", body)
        try:
            made = await self.silences.put(
                Draft(read_matchers(given), read(written(end)), start, "c", "x", id_), "x"
            )
        except (InvalidSilenceError, ValueError) as error:
            assert status in (400, 422), (body, str(error), answer)
            if id_:  # 0.25 ends the one that it refuses to change; later versions leave it, as is done here
                await self.expire(id_)
            return
        assert status == 200, (body, answer)
        assert (made.id == id_) == (answer["silenceID"] == self.theirs.get(id_)), body
        self.theirs[made.id] = answer["silenceID"]

    async def expire(self, id_: str) -> None:
        where = f"{self.url}/api/v2/silence/{self.theirs[id_]}"
        assert (await asyncio.to_thread(asked, where, "DELETE"))[0] == 200
        await self.silences.expire(id_, "x")

    async def shown(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """All silences: here, and there by our ids."""
        _, found = await asyncio.to_thread(asked, f"{self.url}/api/v2/silences")
        there = {one["id"]: one for one in found}
        ours = {theirs: id_ for id_, theirs in self.theirs.items()}
        now = time.time()
        here = {
            one.id: (one.state(now).value, round(one.starts_at / 60), round(one.ends_at / 60))
            for one in self.silences.list()
        }
        return here, {
            ours[id_]: (
                one["status"]["state"],
                round(read(one["startsAt"]) / 60),
                round(read(one["endsAt"]) / 60),
            )
            for id_, one in there.items()
        }


def nearly(here: Sequence[Any], there: Sequence[Any]) -> bool:
    """The same state, and times to the minute, give or take one."""
    return here[0] == there[0] and all(
        abs(ours - theirs) <= 1 for ours, theirs in zip(here[1:], there[1:], strict=True)
    )


async def test_silences_are_taken_changed_ended_and_mute_as_in_a_real_alertmanager(tmp_path: Path) -> None:
    dice = random.Random(20261122)
    clock = SystemClock()
    with Alertmanager(tmp_path, told="http://127.0.0.1:9/") as alertmanager:
        async with Database.open("sqlite:///s.db", clock=clock, data_dir=tmp_path) as db:
            silences = Silences(db, clock, Mutes(), lambda: None)
            pair = Pair(silences, alertmanager.url, dice)
            for _ in range(ACTS):
                if pair.theirs and dice.random() < 0.15:
                    await pair.expire(dice.choice(list(pair.theirs)))
                else:
                    await pair.write(time.time())
            here, there = await pair.shown()
            assert here.keys() == there.keys()
            assert [(here[id_], there[id_]) for id_ in here if not nearly(here[id_], there[id_])] == []
            assert {"active", "pending", "expired"} == {state for state, *_ in here.values()}
            alerts = [
                {name: value for name, value in zip(NAMES, values, strict=False) if value}
                for values in ((a, i, j) for a in ("a", "ab") for i in VALUES for j in VALUES)
            ]
            body = [{"labels": labels} for labels in alerts]
            await asyncio.to_thread(asked, f"{alertmanager.url}/api/v2/alerts", "POST", body)

            async def arrived() -> list[dict[str, Any]]:
                _, found = await asyncio.to_thread(asked, f"{alertmanager.url}/api/v2/alerts")
                return found if len(found) == len(alerts) else []

            ours = {theirs: id_ for id_, theirs in pair.theirs.items()}
            different: set[frozenset[str]] = set()
            for alert in await eventually(arrived, "Alertmanager has the alerts"):
                by = {ours[id_] for id_ in alert["status"]["silencedBy"]}
                assert {mute.id for mute in silences.mutes.muting(alert["labels"], time.time())} == by, alert
                different.add(frozenset(by))
            assert len(different) > 5
            print(
                f"{ACTS} acts, {len(here)} silences, {len(different)} sets of them for {len(alerts)} alerts"
            )
