"""Writes the reference pages that follow from the code: `make docs`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticUndefined

from docs.metrics import metrics_reference
from sentinel.config.auth import SnmpAuth, SshAuth
from sentinel.config.heartbeat import HeartbeatSettings
from sentinel.config.inhibition import InhibitSettings
from sentinel.config.intervals import SpanSettings, TimeIntervalSettings, TimesSettings
from sentinel.config.jump import JumpSettings
from sentinel.config.notify import AnyReceiver, RouteSettings
from sentinel.config.receivers.base import CapSettings
from sentinel.config.secret import Secret
from sentinel.config.settings import DiscoverySettings, Settings, TargetSettings
from sentinel.config.sweeps import SweepSettings
from sentinel.model.durations import format_duration

REFERENCE = Path(__file__).parent / "reference"

_TABLES: dict[str, list[tuple[str, type[BaseModel]]]] = {
    "auth": [
        ('[auth.NAME] with kind = "snmp"', SnmpAuth),
        ('[auth.NAME] with kind = "ssh"', SshAuth),
        ("jump of an SSH auth or a target", JumpSettings),
    ],
    "target": [("[[target]]", TargetSettings)],
    "discovery": [("[discovery]", DiscoverySettings), ("[[discovery.sweeps]]", SweepSettings)],
    "route": [("[route] and [[route.routes]]", RouteSettings)],
    "time_interval": [
        ("[[time_interval]]", TimeIntervalSettings),
        ("time_intervals of a time interval", SpanSettings),
        ("times of a time interval", TimesSettings),
    ],
    "inhibit": [("[[inhibit]]", InhibitSettings)],
    "heartbeat": [("[[heartbeat]]", HeartbeatSettings)],
    "receiver": [
        (f'[[receiver]] with kind = "{get_args(model.model_fields["kind"].annotation)[0]}"', model)
        for model in get_args(AnyReceiver)
    ]
    + [("cap of a receiver", CapSettings)],
}


def configuration_reference() -> str:
    """docs/reference/configuration.md, from the settings and the texts under their keys.

    Raises:
        ValueError: a key has no text.
    """
    parts = [
        "# Configuration",
        "",
        "`config.toml`, every key. `config.example.toml` shows them in use; `sentinel check` tells what is wrong,",
        "with file, line and column. Reload with SIGHUP or `POST /-/reload`: everything is built first and put in",
        "force at the end, or nothing is.",
        "",
        'A secret is a text, `{file = "/path"}`, `{env = "NAME"}` or `{credential = "NAME"}` (systemd).',
    ]
    for name, info in Settings.model_fields.items():
        for title, table in _TABLES.get(name) or _plain(name, info.annotation):
            parts += ["", f"## {title}", "", _summary(table), "", "| key | default | what |", "|---|---|---|"]
            parts += _rows(table)
    return "\n".join(parts) + "\n"


def _plain(name: str, annotation: Any) -> list[tuple[str, type[BaseModel]]]:
    is_table = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return [(f"[{name}]", annotation)] if is_table else []


def _summary(model: type[BaseModel]) -> str:
    text = inspect.getdoc(model) or ""
    text = text.partition(": ")[2] if text.startswith("[") else text
    return text[:1].upper() + text[1:]


def _rows(model: type[BaseModel]) -> Iterator[str]:
    texts = _texts(model)
    for name, info in model.model_fields.items():
        key = info.alias or name
        if key == "kind":
            text, default = "What it is.", f"`{info.annotation.__args__[0]}`"  # type: ignore[union-attr]
        elif name not in texts:
            raise ValueError(f"{model.__name__}.{name} has no text under it")
        else:
            text, default = texts[name], _default(info)
        yield f"| `{key}` | {default} | {text.replace('|', chr(92) + '|')} |"


def _texts(model: type[BaseModel]) -> dict[str, str]:
    """The string under each key, of the model and the models it builds on."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if base is BaseModel or not issubclass(base, BaseModel):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(tree, ast.ClassDef)
        for here, after in zip(tree.body, tree.body[1:], strict=False):
            is_key = isinstance(here, ast.AnnAssign) and isinstance(here.target, ast.Name)
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if is_key and is_text:
                found[here.target.id] = " ".join(str(after.value.value).split())  # type: ignore[attr-defined]
    return found


def _default(info: Any) -> str:
    value = info.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, Secret):
        return f"`{value.reveal()}`"
    if value is None or value in ("", (), {}):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float) and any(isinstance(one, BeforeValidator) for one in info.metadata):
        return f"`{format_duration(value)}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


def main() -> None:
    (REFERENCE / "configuration.md").write_text(configuration_reference())
    (REFERENCE / "metrics.md").write_text(metrics_reference())


if __name__ == "__main__":
    main()
