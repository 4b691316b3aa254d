"""Label sets: immutable, sorted by name, cheap to hash and compare."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping

METRIC_NAME = "__name__"

_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Labels(Mapping[str, str]):
    """An immutable label set, sorted by name. As in Prometheus, a label with an empty value does not exist."""

    __slots__ = ("_dict", "_hash", "pairs")

    pairs: tuple[tuple[str, str], ...]

    def __init__(self, labels: Mapping[str, str] | Iterable[tuple[str, str]] = (), /, **more: str) -> None:
        merged = dict(labels)
        merged.update(more)
        self._keep({name: merged[name] for name in sorted(merged) if merged[name] != ""})

    def _keep(self, sorted_labels: dict[str, str]) -> None:
        self._dict = sorted_labels
        self.pairs = tuple(sorted_labels.items())
        self._hash = hash(self.pairs)

    @classmethod
    def annotations(cls, texts: Mapping[str, str]) -> Labels:
        """Annotations: an empty one exists, as in Prometheus."""
        made = cls.__new__(cls)
        made._keep(dict(sorted(texts.items())))
        return made

    def __getitem__(self, name: str) -> str:
        return self._dict[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Labels):
            return self.pairs == other.pairs
        return NotImplemented

    def __lt__(self, other: Labels) -> bool:
        return self.pairs < other.pairs

    def __repr__(self) -> str:
        return f"Labels({self})"

    def __str__(self) -> str:
        """Prometheus text form: name{label="value", …}; names of other characters in quotes and inside."""
        metric = self.get(METRIC_NAME, "")
        is_plain = not metric or _METRIC.fullmatch(metric) is not None
        inner = [] if is_plain else [quote(metric)]
        for name, value in self.pairs:
            if name != METRIC_NAME:
                inner.append(f"{name if _LABEL.fullmatch(name) else quote(name)}={quote(value)}")
        return f"{metric if is_plain else ''}{{{', '.join(inner)}}}"

    @property
    def name(self) -> str:
        """The metric name, or an empty string."""
        return self._dict.get(METRIC_NAME, "")

    def updated(self, other: Mapping[str, str]) -> Labels:
        """These labels with the other's on top; an empty value removes a label."""
        return Labels(self._dict | dict(other))

    def without(self, *names: str) -> Labels:
        return Labels({name: value for name, value in self.pairs if name not in names})

    def only(self, *names: str) -> Labels:
        return Labels({name: self._dict[name] for name in names if name in self._dict})

    def fingerprint(self, realm: str = "") -> str:
        """Sixteen hexadecimal digits that stay the same across restarts and machines.

        Args:
            realm: at most 16 bytes; label sets of different realms have nothing to do with each other.
        """
        digest = hashlib.blake2b(digest_size=8, person=realm.encode())
        for name, value in self.pairs:
            digest.update(name.encode() + b"\xff" + value.encode("utf-8", "surrogatepass") + b"\xff")
        return digest.hexdigest()


def quote(value: str) -> str:
    """A label value in double quotes, escaped as the text exposition format wants it."""
    return '"' + value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"') + '"'


EMPTY = Labels()
