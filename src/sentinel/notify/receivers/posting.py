"""What receivers share that post JSON to a service and read its verdict."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping

from sentinel.config.receivers.base import HttpReceiver
from sentinel.notify.escape import Escape, as_it_is
from sentinel.notify.http import Answer, Http, UnreachableError
from sentinel.notify.pace import Limit
from sentinel.notify.receiver import Delivery, Outcome, Result
from sentinel.notify.surroundings import Surroundings


class Posting(ABC):
    """
    Args:
        secrets: texts that no detail may show.
    Raises:
        OSError: a certificate file or template cannot be used.
    """

    kind: str
    limits: tuple[Limit, ...] = ()
    """How often the service takes a message."""
    escape: Escape = staticmethod(as_it_is)

    def __init__(
        self,
        settings: HttpReceiver,
        around: Surroundings,
        *,
        url: str,
        secrets: Iterable[str],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = settings.name
        self.timeout = settings.timeout
        self.concurrency = settings.concurrency
        self.now = around.now
        self.wording = around.wording(self.kind, settings, self.escape)
        self.http = Http(
            settings, url=url, guard=around.guard, now=around.now, secrets=secrets, headers=headers
        )

    async def send(self, delivery: Delivery) -> Outcome:
        try:
            return await self.post(delivery)
        except UnreachableError as error:
            return Outcome(Result.RETRY, str(error), is_unwell=True)

    @abstractmethod
    async def post(self, delivery: Delivery) -> Outcome:
        """One message and its verdict.

        Raises:
            UnreachableError: no answer.
        """

    async def close(self) -> None:
        await self.http.close()

    def judged(self, answer: Answer) -> Outcome:
        """By the status; who is not let in is tried again, so that correcting the secret is enough."""
        if answer.status in (401, 403):
            detail = self.http.detail(f"{answer.status} {answer.text}")
            return Outcome(Result.RETRY, detail, is_unwell=True)
        return self.http.judged(answer)

    def refused(self, text: str) -> Outcome:
        return Outcome(Result.REFUSED, self.http.detail(text))

    def later(self, text: str, *, after: float | None = None) -> Outcome:
        """The service, not this message, is the trouble."""
        return Outcome(Result.RETRY, self.http.detail(text), retry_after=after, is_unwell=True)
