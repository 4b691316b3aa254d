"""The functions a template may call. Each checks its arguments: a template is data, not a program of ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote_plus, urlsplit

from sentinel.rules.template import humanize as figures
from sentinel.rules.template.errors import ExpansionError
from sentinel.rules.template.patterns import matches, replace_all
from sentinel.rules.template.values import Struct, is_true, show, sprintf, type_name

Call = Callable[..., object]
T = TypeVar("T")

QUERIES = frozenset({"query"})
"""Functions whose result depends on more than what is handed in."""

LAZY = frozenset({"and", "or"})
"""Functions that stop at the first argument that decides."""


def builtin_functions() -> dict[str, Call]:
    """Every function except `query`, by the name templates use."""
    return {
        "and": _and,
        "or": _or,
        "not": lambda value: not is_true(value),
        "eq": _equal,
        "ne": lambda left, right: not _same(left, right),
        "lt": lambda left, right: _order(left, right) < 0,
        "le": _at_most,
        "gt": lambda left, right: not _at_most(left, right),
        "ge": lambda left, right: not _order(left, right) < 0,
        "len": _length,
        "index": _index,
        "print": lambda *values: _joined(values),
        "println": lambda *values: " ".join(show(value) for value in values) + "\n",
        "printf": lambda pattern, *values: sprintf(_text(pattern), values),
        "html": lambda *values: _html(_joined(values)),
        "slice": _slice,
        "args": lambda *values: {f"arg{place}": value for place, value in enumerate(values)},
        "safeHtml": _text,
        "graphLink": lambda expression: _link(_text(expression), tab=0),
        "tableLink": lambda expression: _link(_text(expression), tab=1),
        "urlQueryEscape": lambda value: quote_plus(_text(value), safe="-_.~"),
        "urlquery": lambda *values: quote_plus(_joined(values), safe="-_.~"),
        "humanize": figures.humanize,
        "humanize1024": figures.humanize1024,
        "humanizeDuration": figures.humanize_duration,
        "humanizePercentage": figures.humanize_percentage,
        "humanizeTimestamp": figures.humanize_timestamp,
        "parseDuration": figures.duration_seconds,
        "title": lambda value: _title(_text(value)),
        "toUpper": lambda value: _by_character(_text(value), str.upper),
        "toLower": lambda value: _by_character(_text(value), str.lower),
        "stripPort": lambda value: _strip_port(_text(value)),
        "stripDomain": lambda value: _strip_domain(_text(value)),
        "match": lambda pattern, text: matches(_text(pattern), _text(text)),
        "reReplaceAll": lambda pattern, new, text: replace_all(_text(pattern), _text(new), _text(text)),
        "first": _first,
        "value": lambda sample: _sample(sample).fields["Value"],
        "label": _label,
        "strvalue": lambda sample: _label("__value__", sample),
        "sortByLabel": _sorted,
    }


SETTINGS = frozenset({"externalURL", "pathPrefix"})
"""Functions of where the daemon is reached."""

_HTML = {
    "\0": "\N{REPLACEMENT CHARACTER}",
    '"': "&#34;",
    "'": "&#39;",
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
}


def setting(name: str, external_url: str) -> str:
    return external_url if name == "externalURL" else urlsplit(external_url).path


def _html(text: str) -> str:
    return "".join(_HTML.get(character, character) for character in text)


def _link(expression: str, *, tab: int) -> str:
    """Of a Prometheus' page: what rules written for one expect."""
    return f"/graph?g0.expr={quote_plus(expression, safe='-_.~')}&g0.tab={tab}"


def _slice(value: object, *bounds: object) -> object:
    if not isinstance(value, str):
        raise ExpansionError(f"can't slice item of type {type_name(value)}")
    data = value.encode("utf-8", "surrogateescape")
    places = [0, len(data)]
    if len(bounds) > 2:
        raise ExpansionError("cannot 3-index slice a string")
    for position, bound in enumerate(bounds):
        if not isinstance(bound, int) or isinstance(bound, bool):
            raise ExpansionError(f"cannot index slice/array with type {type_name(bound)}")
        if not 0 <= bound <= len(data):
            raise ExpansionError(f"index out of range: {bound}")
        places[position] = bound
    if places[0] > places[1]:
        raise ExpansionError(f"invalid slice index: {places[0]} > {places[1]}")
    return data[places[0] : places[1]].decode("utf-8", "surrogateescape")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ExpansionError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _and(*values: object) -> object:
    return next((value for value in values if not is_true(value)), values[-1])


def _or(*values: object) -> object:
    return next((value for value in values if is_true(value)), values[-1])


def _kind(value: object) -> type:
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind
    raise ExpansionError("invalid type for comparison")


def _pair(left: T, right: T) -> tuple[T, T]:
    if _kind(left) is not _kind(right):
        raise ExpansionError(
            "incompatible types for comparison"
            f" ({type_name(left)} and {type_name(right)}: write 80.0 to compare with a value)"
        )
    return left, right


def _same(left: object, right: object) -> bool:
    left, right = _pair(left, right)
    return left == right


def _equal(left: object, *others: object) -> bool:
    if not others:
        raise ExpansionError("missing argument for comparison")
    return any(_same(left, other) for other in others)


def _order(left: object, right: object) -> int:
    """Negative where left is less; NaN is less than nothing."""
    left, right = _pair(left, right)
    if isinstance(left, bool):
        raise ExpansionError("invalid type for comparison")
    return -1 if left < right else 1  # type: ignore[operator]


def _at_most(left: object, right: object) -> bool:
    return _order(left, right) < 0 or left == right


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str)):
        return len(value)
    raise ExpansionError(f"len of type {type_name(value)}")


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(_text(key), "")
        elif isinstance(value, Sequence) and isinstance(key, int) and not isinstance(key, bool):
            items = value.encode() if isinstance(value, str) else value
            if not 0 <= key < len(items):
                raise ExpansionError(f"index out of range: {key}")
            value = items[key]
        else:
            raise ExpansionError(f"can't index item of type {type_name(value)}")
    return value


def _joined(values: Sequence[object]) -> str:
    """Go's fmt.Sprint: a space between two operands when neither is a string."""
    text = ""
    for position, value in enumerate(values):
        is_spaced = position and not isinstance(value, str) and not isinstance(values[position - 1], str)
        text += (" " if is_spaced else "") + show(value)
    return text


def _by_character(text: str, change: Callable[[str], str]) -> str:
    """Go changes one character into one: ß stays, where Python would write SS."""
    return "".join(new if len(new := change(old)) == 1 else old for old in text)


def _title(text: str) -> str:
    """The first letter of every word in upper case."""
    return re.sub(r"(?<![\w])[^\W\d_]", lambda match: match.group().upper(), text)


def _strip_port(address: str) -> str:
    """The host of host:port, or the text as it is when it is not one."""
    bracketed = re.fullmatch(r"\[([^\[\]]*)\]:[^:\[\]]*", address)
    if bracketed:
        return bracketed.group(1)
    plain = re.fullmatch(r"([^:\[\]]*):[^:\[\]]*", address)
    return plain.group(1) if plain else address


def _strip_domain(address: str) -> str:
    """The host name before its first dot, with the port kept; addresses stay whole."""
    host = _strip_port(address)
    port = address[len(host) :] if address.startswith(host) else ""
    if re.fullmatch(r"[\d.]+", host) or ":" in host:
        return address
    return host.split(".", 1)[0] + port


def _samples(value: object) -> Sequence[object]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return value
    raise ExpansionError(f"expected a query's result; got {type_name(value)}")


def _sample(value: object) -> Struct:
    if isinstance(value, Struct) and "Value" in value.fields:
        return value
    raise ExpansionError(f"expected a sample; got {type_name(value)}")


def _first(value: object) -> object:
    samples = _samples(value)
    if not samples:
        raise ExpansionError("first() called on vector with no elements")
    return samples[0]


def _label(name: object, sample: object) -> object:
    labels = _sample(sample).fields["Labels"]
    assert isinstance(labels, Mapping)
    return labels.get(_text(name), "")


def _sorted(name: object, value: object) -> object:
    return tuple(sorted(_samples(value), key=lambda sample: str(_label(name, sample))))
