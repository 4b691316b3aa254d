"""What rules may expect to find, from module files and rule files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sentinel.collect.modules import Modules, load_modules
from sentinel.collect.probes.findings import FAMILIES
from sentinel.collect.snmp.families import families_of
from sentinel.config.files import read_text
from sentinel.config.settings import HistorySettings, load_settings
from sentinel.config.yaml import parse_yaml
from sentinel.model.problem import UnusableError
from sentinel.reload import expand
from sentinel.rules.lint import Known
from sentinel.shipped import shipped


def known_from(config: Path) -> Known:
    """Of the modules and rules that the configuration names; without one, of those that are shipped.

    Raises:
        UnusableError: the configuration or a module file is wrong.
    """
    if config.exists():
        settings = load_settings(config)
        modules = load_modules(expand(settings.collect.collectors, config.parent))
        rules = expand(settings.rules.files, config.parent)
        return Known(metrics_of(modules, rules), settings.collect.interval)
    files = [
        file
        for kind in ("snmp", "ssh", "probes")
        for file in sorted((shipped("collectors") / kind).glob("*.yml"))
    ]
    return Known(metrics_of(load_modules(files), sorted(shipped("rules").glob("*.yml"))))


def history_of(config: Path) -> HistorySettings:
    """How long samples are kept; as shipped where the configuration does not say."""
    try:
        return load_settings(config).history if config.exists() else HistorySettings()
    except UnusableError:
        return HistorySettings()


def metrics_of(modules: Modules, rules: Iterable[Path]) -> dict[str, str]:
    """Type by name of what the modules give, and of what the rules record."""
    found: dict[str, str] = {}
    for module in modules.snmp.values():
        found.update({name: family.type for name, family in families_of(module.metrics).items()})
    for host in modules.ssh.values():
        for section in host.sections:
            found.update(
                {name: "counter" if name.endswith("_total") else "" for name in section.parser.names}
            )
    if modules.probes:
        found.update({name: family.type for name, family in FAMILIES.items()})
    for file in rules:
        found.update(dict.fromkeys(_recorded(file), ""))
    return found


def _recorded(file: Path) -> Iterable[str]:
    try:
        data = parse_yaml(read_text(file), str(file)).data
    except UnusableError:
        return
    for group in (data or {}).get("groups") or () if isinstance(data, dict) else ():
        for rule in group.get("rules") or () if isinstance(group, dict) else ():
            if isinstance(rule, dict) and isinstance(rule.get("record"), str):
                yield rule["record"]
