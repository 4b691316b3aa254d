"""What people do with silences and maintenance windows: write them, look at them, end them.

Everything is committed, with its entry in the audit trail, before it mutes anything; it mutes from memory.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from sentinel.config.matchers import Matcher
from sentinel.config.receivers import NotifySettings
from sentinel.db.audit import write_audit
from sentinel.db.database import Database
from sentinel.incidents.book import one_line
from sentinel.incidents.incidents import MAX_ACTOR
from sentinel.model.alert import Alert
from sentinel.notify.mutes.drafts import InvalidSilenceError, edited, expired, silence_of
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.preview import Preview, preview
from sentinel.notify.mutes.rows import delete_silences, read_silences, write_silences
from sentinel.notify.mutes.silence import Draft, Kind, Silence, State
from sentinel.runtime.clock import Clock

log = logging.getLogger(__name__)

MAX_SILENCES = 10_000
"""With those that are over and still kept."""
_ORDER = {State.ACTIVE: 1, State.PENDING: 2, State.EXPIRED: 3}


ITSELF = "sentinel"
"""Who the audit trail says reminds."""

Tell = Callable[[AsyncConnection, Silence], Awaitable[None]]
"""Writes what people are to be told of one, in the transaction that notes that they are."""


async def nobody(_connection: AsyncConnection, _silence: Silence) -> None:
    """Nobody is told."""


class NoSuchSilenceError(LookupError):
    """There is no silence, or no maintenance window, with that id."""


class Silences:
    """
    Args:
        mutes: what is kept up to date here, and asked elsewhere.
        changed: called after each commit, and when one begins or ends: what is muted may have changed.
        alerts: all alerts, for previews.
        targets: names of all targets; None: not known, any name will do.
        settings: in force now.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        mutes: Mutes,
        changed: Callable[[], None],
        *,
        alerts: Callable[[], Sequence[Alert]] = lambda: (),
        targets: Callable[[], Collection[str]] | None = None,
        settings: Callable[[], NotifySettings] = NotifySettings,
    ) -> None:
        self.mutes = mutes
        self.changed = changed
        self._db = db
        self._clock = clock
        self._alerts = alerts
        self._targets = targets
        self._settings = settings
        self._writing = asyncio.Lock()
        self._is_stale = False
        self._stir: Callable[[Iterable[str]], None] = lambda _: None

    async def load(self) -> None:
        """From the table, as at the start."""
        async with self._writing:
            found = await read_silences(self._db)
            self._is_stale = False
            self.mutes.replace(found, self._clock.now())
        self._stir([one.id for one in found])

    def on_write(self, stir: Callable[[Iterable[str]], None]) -> None:
        """Who is told the ids of what was written: the watch over beginnings and ends."""
        self._stir = stir

    @property
    def is_stale(self) -> bool:
        """Whether a commit went through or not is not known: `load` finds out."""
        return self._is_stale

    async def put(self, draft: Draft, actor: str) -> Silence:
        """Write a new one, or change one: as Alertmanager does, what has muted stays as it was.

        A change of whom it concerns, of its recurrence, or of the start of an active one ends it, and another one
        takes its place.

        Raises:
            InvalidSilenceError: what is wrong with it.
            NoSuchSilenceError: none has the draft's id.
        """
        who = one_line(actor, MAX_ACTOR)
        async with self._writing:
            at = self._clock.now()
            wanted = self._wanted(draft, at, who)
            before = self._known(draft.id, draft.kind) if draft.id else None
            changed = edited(before, wanted, at) if before is not None else None
            if changed is not None:
                await self._commit([changed], "edit", who, at)
                return changed
            if len(self.mutes) >= MAX_SILENCES:
                raise InvalidSilenceError(
                    f"there are {MAX_SILENCES} silences already, with those of the last days"
                )
            fresh = _begun(wanted, at)
            if before is None or before.state(at) is State.EXPIRED:
                await self._commit([fresh], "create", who, at)
                return fresh
            # The old one does not end for those whom it muted: the new one goes on.
            ended = replace(expired(before, at), ended_told_at=at)
            await self._commit([fresh, ended], "replace", who, at)
            return fresh

    async def expire(self, id_: str, actor: str, kind: Kind | None = None) -> Silence:
        """End it now; one that is over stays as it is.

        Args:
            kind: it has to be one of these.
        Raises:
            NoSuchSilenceError
        """
        who = one_line(actor, MAX_ACTOR)
        async with self._writing:
            at = self._clock.now()
            before = self._known(id_, kind)
            state = before.state(at)
            if state is State.EXPIRED:
                return before
            ended = expired(before, at)
            if state is State.PENDING:
                ended = replace(ended, ended_told_at=at)
            await self._commit([ended], "expire", who, at)
            return ended

    async def tell(
        self, id_: str, mark: Callable[[Silence], Silence | None], tell: Tell, action: str = ""
    ) -> None:
        """Tell people of one, and note in the same transaction that they are told.

        Args:
            mark: the silence with that noted; None: there is nothing to tell any more.
            action: what the audit trail calls it; empty: it does not say it.
        """
        async with self._writing:
            before = self.mutes.get(id_)
            marked = mark(before) if before is not None else None
            if before is None or marked is None:
                return
            at = self._clock.now()
            async with self._db.transaction() as connection:
                await tell(connection, before)
                await write_silences(connection, [marked])
                if action:
                    await self._audit(connection, before, action, ITSELF, at)
            self.mutes.put([marked], at)

    async def forget(self, ids: Sequence[str]) -> None:
        """Remove what has been over for long."""
        if not ids:
            return
        async with self._writing:
            async with self._db.transaction() as connection:
                await delete_silences(connection, ids)
            self.mutes.remove(ids)
        self._stir(ids)
        log.info("silences that are over removed", extra={"facts": {"count": len(ids)}})

    def get(self, id_: str, kind: Kind | None = None) -> Silence:
        """Raises: NoSuchSilenceError."""
        return self._known(id_, kind)

    def list(
        self,
        *,
        kind: Kind | None = None,
        states: Collection[State] = tuple(State),
        matchers: Sequence[Matcher] = (),
        created_by: str = "",
    ) -> Sequence[Silence]:
        """In Alertmanager's order: active ones by their ends, pending ones by their starts, then what ended last.

        Args:
            matchers: those that have all of these among their own.
        """
        at = self._clock.now()
        found = []
        for one in self.mutes.all():
            if kind not in (None, one.kind) or created_by not in ("", one.created_by):
                continue
            state = one.state(at)
            if state in states and all(matcher in one.matchers for matcher in matchers):
                found.append((_ORDER[state], _rank(one, state, at), one.id, one))
        return [one for *_, one in sorted(found, key=lambda each: each[:3])]

    def preview(self, draft: Draft, actor: str = "") -> Preview:
        """What the draft concerns among the open alerts.

        Raises:
            InvalidSilenceError: as `put`.
        """
        wanted = self._wanted(draft, self._clock.now(), actor)
        return preview(self.mutes, wanted, self._alerts(), self._settings().silence_warn_share)

    def _wanted(self, draft: Draft, at: float, who: str) -> Silence:
        return silence_of(draft, at, who, self._targets() if self._targets is not None else None)

    def _known(self, id_: str, kind: Kind | None) -> Silence:
        found = self.mutes.get(id_)
        if found is None or kind not in (None, found.kind):
            what = (kind or Kind.SILENCE).words
            raise NoSuchSilenceError(f"there is no {what} {one_line(id_, 50)!r}")
        return found

    async def _commit(self, silences: Sequence[Silence], action: str, who: str, at: float) -> None:
        first = silences[0]
        try:
            async with self._db.transaction() as connection:
                await write_silences(connection, silences)
                await self._audit(connection, first, action, who, at)
        except BaseException:
            self._is_stale = True
            self._stir(())
            raise
        self.mutes.put(silences, at)
        log.info(f"{first.kind.value} {action}", extra={"facts": {"id": first.id, "by": who}})
        self._stir([one.id for one in silences])
        self.changed()

    async def _audit(
        self, connection: AsyncConnection, silence: Silence, action: str, who: str, at: float
    ) -> None:
        await write_audit(
            connection,
            at=at,
            actor=who,
            action=f"{silence.kind.value}.{action}",
            subject=f"{silence.kind.words} {silence.id}",
            detail=detail_of(silence),
        )


def detail_of(silence: Silence) -> str:
    """Whom it concerns and when, in one line for the audit trail."""
    concerned = [str(matcher) for matcher in silence.matchers]
    if silence.targets:
        concerned.insert(0, f"targets {', '.join(silence.targets)}")
    when = f"{silence.starts_at:.0f} to {silence.ends_at:.0f}"
    if silence.recurrence is not None:
        when += f", {silence.recurrence.rule} in {silence.recurrence.zone}"
    return one_line(
        f"{'; '.join(filter(None, (when, silence.change, silence.comment)))}; {' '.join(concerned)}", 2000
    )


def _begun(wanted: Silence, at: float) -> Silence:
    """A new one: nothing was muted before it was written down."""
    starts_at = max(wanted.starts_at, at) if wanted.recurrence is None else wanted.starts_at
    return replace(wanted, id=str(uuid.uuid4()), starts_at=starts_at)


def _rank(silence: Silence, state: State, at: float) -> float:
    window = silence.window(at)
    if state is State.PENDING:
        return window.start
    return window.end if state is State.ACTIVE else -window.end
