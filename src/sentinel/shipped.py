"""Files that ride along: rules, modules, runbooks and the example configuration."""

from __future__ import annotations

from pathlib import Path

_PACKAGED = Path(__file__).parent / "shipped"
_CHECKOUT = Path(__file__).parents[2]


def shipped(name: str) -> Path:
    """A shipped file or folder: "rules", "collectors", "runbooks" or "config.example.toml"."""
    packaged = _PACKAGED / name
    if packaged.exists():
        return packaged
    return _CHECKOUT / ("docs/runbooks" if name == "runbooks" else name)
