"""Imports between rooms run downwards only."""

from __future__ import annotations

import ast
from pathlib import Path

import sentinel

ROOT = Path(sentinel.__file__).parent

ORDER = (
    "cli",
    "app",
    "faces",
    "care",
    "sweeps",
    "reload",
    "web",
    "reports",
    "inspections",
    "notify",
    "oncall",
    "incidents",
    "rules",
    "promql",
    "series",
    "collect",
    "inventory",
    "db",
    "config",
    "model",
    "runtime",
    "shipped",
)
"""Higher rooms first; a room may import from those after it."""


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            if node.module == "sentinel":
                found.update(f"sentinel.{alias.name}" for alias in node.names)
    return {name for name in found if name.split(".")[0] == "sentinel"}


def test_imports_run_downwards_only() -> None:
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        module = "sentinel." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        room = _room(module)
        if room not in ORDER:
            continue
        for imported in _imports(path):
            target = _room(imported)
            if target in ORDER and ORDER.index(target) < ORDER.index(room):
                wrong.append(f"{module} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_every_room_says_what_it_owns() -> None:
    silent = [
        str(package.relative_to(ROOT))
        for package in ROOT.rglob("__init__.py")
        if package.parent.name != "versions" and not ast.get_docstring(ast.parse(package.read_text()))
    ]
    assert not silent


def test_every_room_stands_in_the_order() -> None:
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"__pycache__"}
    assert rooms <= set(ORDER)


def test_files_stay_readable() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in ROOT.rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 420
    }
    assert not long, f"split by responsibility: {long}"


def test_dangerous_calls_stay_out() -> None:
    banned = ("known_hosts=None", "shell=True", "create_subprocess_shell", "os.system(", "verify=False")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in ROOT.rglob("*.py")
        for word in banned
        if word in path.read_text()
    ]
    assert not found
