"""Receivers of every kind, built from settings as people write them, and the messages they are given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from sentinel.config.receivers import AnyReceiver, NotifySettings, ReceiverSettings
from sentinel.notify import build_receivers
from sentinel.notify.facts import Facts
from sentinel.notify.receiver import Delivery, Outcome, Receiver
from sentinel.notify.sample import sample_facts
from sentinel.runtime.clock import SystemClock

_ADAPTER: TypeAdapter[AnyReceiver] = TypeAdapter(ReceiverSettings)
HOSTILE = 'x<b>&]">[click](http://evil.example/)<@U1><at id=all></at>{{ .Secret }}\r\nBcc: e@x\0 "\\ 告警🔥'


def settings(kind: str, **written: Any) -> AnyReceiver:
    return _ADAPTER.validate_python({"kind": kind, "name": "ops", **written})


def facts(event: str = "firing", *, alerts: int = 1, title: str = "sw1 is down", text: str = "") -> Facts:
    """Facts of an incident with so many alerts, each with a long description if `text` is given."""
    made = sample_facts(event, at=time.time(), external_url="https://sentinel.example.org")
    made["incident"], made["title"], made["target"], made["grade"] = 7, title, "sw1", "II"
    first = made["alerts"][0]
    made["alerts"] = [
        {
            **first,
            "fingerprint": f"{number:016x}",
            "labels": first["labels"]
            | {"ifName": f"ge-0/0/{number}", **({"text": text[:200]} if text else {})},
            "annotations": first["annotations"] | ({"description": (text * 1000)[:1000]} if text else {}),
        }
        for number in range(alerts)
    ]
    made["total"] = alerts
    return made


def message(event: str = "firing", **more: Any) -> Delivery:
    return Delivery(1, "k" * 32, 7, "ops", event, facts(event, **more))


@dataclass(slots=True)
class Built:
    receiver: Receiver

    async def send(self, delivery: Delivery) -> Outcome:
        async with asyncio.timeout(10):
            return await self.receiver.send(delivery)


@asynccontextmanager
async def built(
    one: AnyReceiver,
    *,
    notify: NotifySettings | None = None,
    folder: Path = Path(),
    language: Any = "en",
) -> AsyncIterator[Built]:
    receivers = build_receivers(
        [one],
        clock=SystemClock(),
        language=language,
        zone=ZoneInfo("Asia/Shanghai"),
        notify=notify,
        folder=folder,
    )
    try:
        yield Built(receivers[one.name])
    finally:
        await receivers[one.name].close()
