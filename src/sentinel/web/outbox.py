"""Messages in Sentinel's own API: listed, tried again, dropped."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from sentinel.notify.desk import MAX_AT_ONCE
from sentinel.web.guard import actor_of
from sentinel.web.own import MAX_NOTE, WRITE, DeliveryShown
from sentinel.web.seams.telling import Outbox

State = Literal["pending", "merged", "delivered", "dead", "dropped"]


class MessageShown(DeliveryShown):
    id: int
    incident: int
    last_attempt_at: float | None
    origin: int | None = Field(
        description="Number of the message that it stands in for: its receiver did not take it"
    )


class Act(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Retry(Act):
    messages: list[int] = Field(default=[], max_length=MAX_AT_ONCE)
    receiver: str = Field(default="", max_length=200, description="Its dead messages, in place of numbers")


class Drop(Act):
    messages: list[int] = Field(min_length=1, max_length=MAX_AT_ONCE)
    reason: str = Field(min_length=1, max_length=MAX_NOTE)


def outbox_router(outbox: Outbox) -> APIRouter:
    """Routes under /api/sentinel/v1/outbox. Writing is guarded by the token check in front of all routes."""
    router = APIRouter(prefix="/api/sentinel/v1/outbox")

    @router.get("", operation_id="listMessages")
    async def messages(
        state: Annotated[list[State] | None, Query()] = None,
        receiver: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=MAX_AT_ONCE)] = 200,
        after: Annotated[int | None, Query(ge=1, description="Go on below this number")] = None,
    ) -> list[MessageShown]:
        found = await outbox.list(state or (), receiver=receiver, limit=limit, after=after)
        return [MessageShown(**asdict(one)) for one in found]

    @router.post("/retry", operation_id="retryMessages", responses=WRITE)
    async def retry(request: Request, act: Retry) -> list[MessageShown]:
        changed = await outbox.retry(act.messages, act.receiver, actor_of(request))
        return [MessageShown(**asdict(one)) for one in changed]

    @router.post("/drop", operation_id="dropMessages", responses=WRITE)
    async def drop(request: Request, act: Drop) -> list[MessageShown]:
        changed = await outbox.drop(act.messages, actor_of(request), act.reason)
        return [MessageShown(**asdict(one)) for one in changed]

    return router
