"""An outbox in memory behind the web's seam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sentinel.incidents.incidents import NotPossibleError
from sentinel.notify.desk import MessageRecord, NoSuchMessageError
from tests.unit.web.fakes import NOW


@dataclass
class FakeOutbox:
    messages: dict[int, MessageRecord] = field(default_factory=dict)

    async def list(
        self, states: Sequence[str], *, receiver: str, limit: int, after: int | None
    ) -> Sequence[MessageRecord]:
        wanted = states or ("pending", "dead", "dropped")
        found = [one for one in self.messages.values() if one.state in wanted]
        return [one for one in found[::-1] if receiver in ("", one.receiver)][:limit]

    async def retry(self, numbers: Sequence[int], receiver: str, actor: str) -> Sequence[MessageRecord]:
        chosen = [one for one in self.messages.values() if one.id in numbers or one.receiver == receiver]
        return self._become(chosen, "pending", "")

    async def drop(self, numbers: Sequence[int], actor: str, reason: str) -> Sequence[MessageRecord]:
        if missing := set(numbers) - self.messages.keys():
            raise NoSuchMessageError(f"there is no message {min(missing)}")
        return self._become([self.messages[number] for number in numbers], "dropped", reason)

    def _become(self, chosen: Sequence[MessageRecord], state: str, error: str) -> Sequence[MessageRecord]:
        for one in chosen:
            if one.state == "delivered":
                raise NotPossibleError(f"message {one.id} was delivered")
            self.messages[one.id] = replace(one, state=state, last_error=error)
        return [self.messages[one.id] for one in chosen]


def message(number: int, receiver: str = "ops", state: str = "dead", event: str = "firing") -> MessageRecord:
    return MessageRecord(
        number, f"key{number}", 7, receiver, event, state, 3, NOW - 600, NOW - 60, NOW - 60, "404 Not Found"
    )
