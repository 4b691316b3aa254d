"""One probe by a module written as in its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sentinel.collect.probes.driver import ProbeDriver
from sentinel.collect.probes.modules import ProbeModule, parse_modules
from sentinel.collect.probes.resolve import Policy, anywhere
from sentinel.config.address import is_url, split_place
from sentinel.config.yaml import parse_yaml
from sentinel.model.batch import Reading
from sentinel.model.target import Target
from sentinel.runtime.clock import SystemClock


def module(prober: str, folder: Path = Path("/nonexistent"), **settings: Any) -> ProbeModule:
    text = json.dumps({"modules": {"m": {"prober": prober, prober: settings}}})
    return parse_modules(parse_yaml(text, str(folder / "m.yml")))["m"]


def place(address: str) -> Target:
    host, port = split_place(address)
    return Target(address, host, port, url=address if is_url(address) else "")


class Answer:
    """A reading, by metric name."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.reason = next(iter(reading.reasons), "")
        self.values = {
            labels.name: value for labels, value in zip(reading.layout.series, reading.values, strict=True)
        }

    def __getitem__(self, name: str) -> float:
        return float(self.values[name])


async def ask(found: ProbeModule, address: str, *, timeout: float = 2.0, policy: Policy = anywhere) -> Answer:
    driver = ProbeDriver({"m": found}, clock=SystemClock())
    try:
        collector = driver.open(place(address), "m", policy=policy)
        return Answer(await collector.poll(at=0.0, timeout=timeout))
    finally:
        await driver.close()
