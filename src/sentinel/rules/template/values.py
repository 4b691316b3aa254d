"""What templates work on, and how Go prints it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sentinel.rules.template.errors import ExpansionError

MAX_WIDTH = 200
_VERB = re.compile(r"%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d+)?)?(.?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Struct:
    """A value with fields; a field that it does not have is an error, unlike a label that is missing."""

    fields: Mapping[str, object]


def field_of(value: object, name: str) -> object:
    """`value.name` as Go's text/template finds it with missingkey=zero.

    Raises:
        ExpansionError: the value has no fields, or not this one.
    """
    if isinstance(value, Struct):
        if name not in value.fields:
            raise ExpansionError(f"there is no field {name}")
        return value.fields[name]
    if isinstance(value, Mapping):
        return value.get(name, "")
    raise ExpansionError(f"can't evaluate field {name} in type {type_name(value)}")


def is_true(value: object) -> bool:
    if isinstance(value, Struct):
        return True
    return bool(value)


def type_name(value: object) -> str:
    """Go's name of the type."""
    match value:
        case None:
            return "nil"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case Mapping():
            return "map[string]string"
        case Struct():
            return "struct"
    return "[]struct"


def show(value: object) -> str:
    """The value as an action prints it (Go's %v)."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return format_float(value, "g", None)
        case str():
            return value
        case Mapping():
            return "map[" + " ".join(f"{key}:{show(value[key])}" for key in sorted(value)) + "]"
    raise ExpansionError(f"a {type_name(value)} cannot be printed: name one of its fields")


def format_float(value: float, verb: str, precision: int | None) -> str:
    """A float as Go's strconv writes it; precision None is the fewest digits that read back the same."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    lower = verb.lower()
    if precision is not None:
        text = format(value, f".{max(precision, 1) if lower == 'g' else precision}{lower}")
    else:
        text = _shortest(value, lower)
    return text.upper() if verb.isupper() else text


def _shortest(value: float, verb: str) -> str:
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    digits, exponent = _digits(abs(value))
    if verb == "e" or (verb == "g" and (exponent < -4 or exponent >= 6)):
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    rest = digits[exponent + 1 :]
    return f"{sign}{whole}{'.' + rest if rest else ''}"


def _digits(value: float) -> tuple[str, int]:
    """Shortest significant digits, and the decimal exponent of the first."""
    if value == 0:
        return "0", 0
    mantissa, _, exponent = f"{value!r}".lower().partition("e")
    whole, _, rest = mantissa.partition(".")
    joined = whole + ("" if rest == "0" else rest)
    stripped = joined.lstrip("0")
    shift = len(whole) - 1 - (len(joined) - len(stripped))
    return stripped.rstrip("0") or "0", shift + int(exponent or 0)


def sprintf(pattern: str, arguments: Sequence[object]) -> str:
    """Go's fmt.Sprintf for strings, numbers and booleans.

    Raises:
        ExpansionError: a width beyond MAX_WIDTH, or an argument that cannot be printed.
    """
    rest = list(arguments)
    used = 0

    def take() -> object:
        nonlocal used
        if used >= len(rest):
            return _MISSING
        used += 1
        return rest[used - 1]

    def replaced(match: re.Match[str]) -> str:
        flags, width_text, precision_text, verb = match.groups()
        has_precision = "." in match.group()[len(flags) + 1 :] and verb != "."
        if verb == "%":
            return "%"
        width = _size(width_text, take)
        precision = _size(precision_text, take) if has_precision else None
        if has_precision and precision is None:
            precision = 0
        if not verb:
            return "%!(NOVERB)"
        value = take()
        if value is _MISSING:
            return f"%!{verb}(MISSING)"
        if width is not None and width < 0:
            flags, width = flags + "-", -width
        return _padded(*_formatted(value, verb, flags, precision), flags, width)

    text = _VERB.sub(replaced, pattern)
    if used < len(rest):
        extra = ", ".join(f"{type_name(value)}={show(value)}" for value in rest[used:])
        text += f"%!(EXTRA {extra})"
    return text


_MISSING = object()


def _size(text: str | None, take: object) -> int | None:
    if text is None:
        return None
    value = take() if text == "*" and callable(take) else text
    try:
        size = int(value)
    except (TypeError, ValueError):
        raise ExpansionError("a width or precision is not a number") from None
    if abs(size) > MAX_WIDTH:
        raise ExpansionError(f"a width or precision is over {MAX_WIDTH}")
    return size


def _formatted(value: object, verb: str, flags: str, precision: int | None) -> tuple[str, bool]:
    """The value in that verb's form, and whether it is a number (zeros may pad it)."""
    if verb == "v":
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        text = format_float(value, "g", precision) if isinstance(value, float) else show(value)
        return _signed(text, flags) if number else text, number
    if isinstance(value, bool):
        if verb == "t":
            return show(value), False
    elif isinstance(value, str):
        if verb in "sqxX":
            return _string(value, verb, flags, precision), False
    elif isinstance(value, float):
        if verb in "eEfFgG":
            default = None if verb in "gG" else 6
            verb = "f" if verb == "F" else verb
            given = default if precision is None else precision
            return _signed(format_float(value, verb, given), flags), True
    elif isinstance(value, int) and verb in "dxXobcq":
        return _integer(value, verb, flags, precision), verb not in "cq"
    elif isinstance(value, Mapping) and verb == "s":
        return show(value), False
    return f"%!{verb}({type_name(value)}={show(value)})", False


def _string(value: str, verb: str, flags: str, precision: int | None) -> str:
    if precision is not None:
        value = value[:precision]
    if verb == "s":
        return value
    if verb == "q":
        if "#" in flags and "`" not in value and value.isprintable():
            return f"`{value}`"
        return '"' + "".join(_quoted(character) for character in value) + '"'
    separator = " " if " " in flags else ""
    text = separator.join(f"{byte:02x}" for byte in value.encode())
    text = ("0x" + text) if "#" in flags else text
    return text.upper() if verb == "X" else text


_NAMED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def _quoted(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in _NAMED:
        return _NAMED[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _integer(value: int, verb: str, flags: str, precision: int | None) -> str:
    if verb in "cq":
        character = chr(value) if 0 <= value < 0x110000 else "\ufffd"
        return character if verb == "c" else f"'{character}'"
    text = format(abs(value), verb)
    if precision is not None:
        text = "" if precision == 0 and value == 0 else text.rjust(precision, "0")
    if "#" in flags:
        text = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") + text
    return _signed(("-" if value < 0 else "") + text, flags)


def _signed(text: str, flags: str) -> str:
    if text.startswith(("+", "-")):
        return text
    if "+" in flags:
        return "+" + text
    return " " + text if " " in flags else text


def _padded(text: str, is_number: bool, flags: str, width: int | None) -> str:
    if width is None or len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    is_finite = not text.endswith(("Inf", "NaN"))
    if "0" in flags and is_number and is_finite:
        sign = text[0] if text[0] in "+- " else ""
        return sign + text[len(sign) :].rjust(width - len(sign), "0")
    return text.rjust(width)
