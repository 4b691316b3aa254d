"""A program on this machine: the facts on its standard input as JSON, a few of them in its environment."""

from __future__ import annotations

import orjson

from sentinel.config.receivers.local import CommandSettings
from sentinel.incidents.book import one_line
from sentinel.notify.facts import Facts
from sentinel.notify.program import EX_DATAERR, program_problem, run_program
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.receivers.webhook import payload
from sentinel.notify.story import page_of
from sentinel.notify.surroundings import Surroundings

MAX_DETAIL = 200


class Command:
    kind = "command"

    def __init__(self, settings: CommandSettings, around: Surroundings) -> None:
        problem = program_problem(settings.command, around.notify)
        if problem:
            raise OSError(problem)
        self._name = settings.name
        self._argv = settings.command
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency

    async def send(self, delivery: Delivery) -> Outcome:
        """Exit status 0: delivered; 65 (EX_DATAERR): refused for good; any other: later."""
        content = orjson.dumps(payload(delivery.facts, receiver=self._name) | {"key": delivery.key})
        try:
            ended = await run_program(self._argv, content, _variables(delivery.facts, delivery.key))
        except OSError as error:
            return Outcome(Result.RETRY, f"cannot start: {error.strerror}", is_unwell=True)
        detail = one_line(f"exit status {ended.status} {ended.said}", MAX_DETAIL)
        if ended.status == 0:
            return Outcome(Result.DELIVERED, detail)
        return Outcome(Result.REFUSED if ended.status == EX_DATAERR else Result.RETRY, detail)

    async def close(self) -> None:
        """Nothing stays open between two messages."""


def _variables(facts: Facts, key: str) -> dict[str, str]:
    return {
        "SENTINEL_EVENT": facts["event"],
        "SENTINEL_INCIDENT": str(facts["incident"]),
        "SENTINEL_GRADE": facts["grade"],
        "SENTINEL_TITLE": one_line(facts["title"], 400),
        "SENTINEL_TARGET": one_line(facts["target"], 200),
        "SENTINEL_URL": page_of(facts),
        "SENTINEL_KEY": key,
    }
