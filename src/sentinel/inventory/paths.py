"""Which targets can only be reached through which others: what `parent` says, followed all the way."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable

from sentinel.model.target import Target


class Paths:
    """A target is reachable while any one of its parents is; one without parents always is."""

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self._parents = {target.name: target.parents for target in targets if target.parents}
        self._children: dict[str, list[str]] = defaultdict(list)
        for name, parents in self._parents.items():
            for parent in parents:
                self._children[parent].append(name)

    def dependants(self, names: Collection[str]) -> Collection[str]:
        """Targets that are cut off while all of these are away, without these."""
        away, waiting = set(names), deque(names)
        while waiting:
            for child in self._children.get(waiting.popleft(), ()):
                if child not in away and away.issuperset(self._parents[child]):
                    away.add(child)
                    waiting.append(child)
        return away.difference(names)

    def blockers(self, name: str, is_down: Callable[[str], bool]) -> Collection[str]:
        """The targets nearest to it that are down, and so cut it off; empty: it can be reached, as far as is known.

        Args:
            is_down: whether a target itself does not answer.
        """
        return self._blockers(name, is_down, frozenset((name,)))

    def _blockers(self, name: str, is_down: Callable[[str], bool], passed: frozenset[str]) -> Collection[str]:
        found: dict[str, None] = {}
        for parent in self._parents.get(name, ()):
            if parent in passed:
                continue  # a ring leads nowhere
            through = [parent] if is_down(parent) else self._blockers(parent, is_down, passed | {parent})
            if not through:
                return ()
            found.update(dict.fromkeys(through))
        return list(found)
