"""What is muted now, answered from memory: asked for every alert, at every look at its group."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sentinel.config.matchers import Matcher
from sentinel.model.labels import Labels
from sentinel.notify.mutes.index import Index
from sentinel.notify.mutes.recurrence import Window
from sentinel.notify.mutes.silence import Kind, Silence

MAX_KNOWN = 50_000
"""Label sets of which is kept what matches them."""
MAX_TEXT = 300


@dataclass(frozen=True, slots=True)
class Mute:
    """Why something is not told now."""

    kind: Literal["silence", "maintenance"]
    id: str
    text: str
    """For people, one line: who, why, and for which change."""
    until: float
    """Unix seconds."""


class Compiled:
    """A silence, ready to be asked."""

    __slots__ = ("_asked_at", "_mute", "_window", "matchers", "silence", "targets")

    def __init__(self, silence: Silence, targets: frozenset[str] | None) -> None:
        """
        Args:
            targets: the only ones that it concerns; None: all.
        """
        self.silence = silence
        self.matchers: tuple[Matcher, ...] = silence.matchers
        self.targets = targets
        self._window: Window | None = None
        self._asked_at = 0.0
        self._mute: Mute | None = None

    def matches(self, labels: Mapping[str, str], /) -> bool:
        """Whatever the time is."""
        if self.targets is not None and labels.get("instance", "") not in self.targets:
            return False
        return all(matcher.matches(labels) for matcher in self.matchers)

    def window(self, at: float) -> Window:
        """As the silence's, looked up once per window."""
        if self._window is None or not self._asked_at <= at < self._window.end:
            self._window, self._asked_at, self._mute = self.silence.window(at), at, None
        return self._window

    def mute(self, at: float) -> Mute | None:
        """What it says at an instant; None: it mutes nothing then."""
        over_at = self.silence.over_at
        if over_at is not None and at >= over_at:
            return None
        window = self.window(at)
        if not window.holds(at):
            return None
        if self._mute is None:
            kind: Literal["silence", "maintenance"] = (
                "maintenance" if self.silence.kind is Kind.MAINTENANCE else "silence"
            )
            self._mute = Mute(kind, self.silence.id, text_of(self.silence), window.end)
        return self._mute


def text_of(silence: Silence) -> str:
    """One line for people: who, why, and for which change."""
    change = f"{silence.change}, " if silence.change else ""
    text = (
        f"{change}{silence.created_by}: {silence.comment}" if silence.comment else change + silence.created_by
    )
    plain = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return plain if len(plain) <= MAX_TEXT else plain[: MAX_TEXT - 1] + "…"


Dependants = Callable[[Collection[str]], Collection[str]]
"""Targets that can only be reached through the named ones."""


class Mutes:
    """All silences and maintenance windows there are; reading never touches the database.

    Args:
        dependants: asked for each maintenance window that includes them.
    """

    def __init__(self, dependants: Dependants = lambda _: ()) -> None:
        self._dependants = dependants
        self._all: dict[str, Compiled] = {}
        self._index: Index[Compiled] = Index()
        self._known: dict[Labels, tuple[Compiled, ...]] = {}

    def muting(self, labels: Mapping[str, str], at: float) -> Sequence[Mute]:
        """What mutes an alert with these labels, the one that lasts longest first; empty: nothing does.

        Args:
            at: Unix seconds.
        """
        found = [mute for one in self._matching(labels) if (mute := one.mute(at)) is not None]
        return sorted(found, key=lambda mute: (-mute.until, mute.id)) if len(found) > 1 else found

    def matching(self, labels: Mapping[str, str]) -> Sequence[Silence]:
        """Silences and windows that concern these labels and are not over, whether they have begun or not."""
        return [one.silence for one in self._matching(labels)]

    def targets(self, silence: Silence) -> Collection[str]:
        """Targets in a maintenance window, with those that go along."""
        known = self._all.get(silence.id)
        compiled = known if known is not None and known.silence is silence else self.compiled(silence)
        return compiled.targets or ()

    def get(self, id_: str) -> Silence | None:
        found = self._all.get(id_)
        return None if found is None else found.silence

    def all(self) -> Sequence[Silence]:
        return [one.silence for one in self._all.values()]

    def __len__(self) -> int:
        return len(self._all)

    def put(self, silences: Iterable[Silence], at: float) -> None:
        """New ones, or what has become of known ones."""
        for silence in silences:
            compiled = self.compiled(silence)
            self._all[silence.id] = compiled
            if silence.over_at is not None and silence.over_at <= at:
                self._index.remove(silence.id)
            else:
                self._file(compiled)
        self._known.clear()

    def replace(self, silences: Iterable[Silence], at: float) -> None:
        """These and no others."""
        self._all.clear()
        self._index = Index()
        self.put(silences, at)

    def remove(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            self._all.pop(id_, None)
            self._index.remove(id_)
        self._known.clear()

    def retire(self, ids: Iterable[str]) -> None:
        """These are over: they are kept to be looked at, and not asked any more."""
        for id_ in ids:
            self._index.remove(id_)
        self._known.clear()

    def adopt(self, at: float) -> None:
        """Other targets, or other parents of them: `dependants` answers otherwise now."""
        self.put([one.silence for one in self._all.values() if one.silence.with_dependants], at)

    def compiled(self, silence: Silence) -> Compiled:
        """Ready to be asked, without being one of these."""
        if not silence.targets:
            return Compiled(silence, None)
        targets = frozenset(silence.targets)
        if silence.with_dependants:
            targets |= frozenset(self._dependants(silence.targets))
        return Compiled(silence, targets)

    def _file(self, compiled: Compiled) -> None:
        needed = {"instance": compiled.targets} if compiled.targets else {}
        self._index.put(compiled.silence.id, compiled, needed)

    def _matching(self, labels: Mapping[str, str]) -> Sequence[Compiled]:
        if not isinstance(labels, Labels):
            return self._index.matching(labels)
        known = self._known.get(labels)
        if known is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            known = self._known[labels] = tuple(self._index.matching(labels))
        return known
