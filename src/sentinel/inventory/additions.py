"""Targets that are added to a target file: what people wrote in it stays as it is."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sentinel.config.document import validated
from sentinel.config.toml import parse_toml
from sentinel.inventory.targets import TargetFile

MAX_NAME = 63

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_HEADING = "# Targets found by `sentinel discover`, and whatever you write here.\n"


@dataclass(frozen=True, slots=True)
class Addition:
    """One target to be added."""

    name: str
    address: str
    modules: tuple[str, ...]
    auth: str = ""
    remark: str = ""
    """What the device says of itself: becomes a comment."""
    labels: Mapping[str, str] = field(default_factory=dict)


def safe_name(said: str, address: str, taken: Iterable[str]) -> str:
    """A name for a target, from what the device calls itself: plain characters, bounded, and not yet taken."""
    used = set(taken)
    base = _UNSAFE.sub("-", said).strip("-.")[:MAX_NAME].rstrip("-.") or address
    name, number = base, 2
    while name in used:
        name, number = f"{base}-{number}", number + 1
    return name


def address_text(host: str, port: int, usual: int = 161) -> str:
    """As a target's address is written."""
    if port == usual:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def with_additions(text: str, additions: Sequence[Addition]) -> str:
    """The file with further tables at its end.

    Raises:
        UnusableError: the result would not be a target file.
    """
    parts = [text.rstrip("\n") + "\n" if text.strip() else _HEADING]
    parts += [_table(one) for one in additions]
    whole = "".join(parts)
    validated(TargetFile, parse_toml(whole, "additions"))
    return whole


def replace_file(path: Path, text: str) -> None:
    """The new content as a whole, or the old one; never half of it.

    Raises:
        OSError: it cannot be written.
    """
    path = path.resolve()
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _table(one: Addition) -> str:
    remark = f"# {_plain(one.remark)}\n" if one.remark else ""
    modules = ", ".join(_quoted(module) for module in one.modules)
    auth = f"auth = {_quoted(one.auth)}\n" if one.auth else ""
    pairs = ", ".join(f"{name} = {_quoted(value)}" for name, value in one.labels.items())
    labels = f"labels = {{{pairs}}}\n" if pairs else ""
    return (
        f"\n{remark}[[target]]\nname = {_quoted(one.name)}\naddress = {_quoted(one.address)}\n"
        f"modules = [{modules}]\n{auth}{labels}"
    )


def _plain(text: str) -> str:
    """One line without control characters: a comment cannot end early."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    escaped = "".join(
        f"\\u{ord(char):04X}" if not char.isprintable() and ord(char) < 1 << 16 else char
        for char in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'
