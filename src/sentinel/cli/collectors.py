"""`sentinel collectors`: what the modules do to a host, told before it is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentinel.cli.config import ConfigPath, fail, problems_told
from sentinel.cli.output import Output, OutputOption, Row, show, show_json
from sentinel.model.durations import format_duration
from sentinel.model.problem import did_you_mean

if TYPE_CHECKING:
    from sentinel.collect.modules import Modules
    from sentinel.collect.ssh.modules import SshModule

app = typer.Typer(
    no_args_is_help=True, help="Modules: what they read, and the commands that they run on hosts."
)

Files = Annotated[
    list[Path] | None,
    typer.Option("--file", "-f", help="Module files in place of those that the configuration names."),
]


@app.command("list")
def list_(config: ConfigPath, file: Files = None, output: OutputOption = Output.TABLE) -> None:
    """List the modules that targets may name."""
    show(_rows(_modules(config, file)), _COLUMNS, output, empty="no modules")


@app.command("show")
def show_(
    names: Annotated[list[str], typer.Argument(metavar="MODULE...", help="Modules of one host.")],
    config: ConfigPath,
    *,
    restrict: Annotated[
        bool,
        typer.Option("--restrict", help="Print a forced command for authorized_keys that allows just that."),
    ] = False,
    user: Annotated[str, typer.Option(help="Account on the host, with --restrict.")] = "sentinel",
    file: Files = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the commands that modules run on a host, in which sections and how often."""
    modules = _modules(config, file)
    for name in names:
        if name not in modules.kinds:
            fail(f"unknown module '{name}'{did_you_mean(name, modules.kinds)}", 2)
    if restrict:
        _restrict(modules, names, user, output)
    elif output is Output.JSON:
        show_json([_shown(modules, name) for name in names])
    else:
        typer.echo("\n".join(_text(_shown(modules, name)) for name in names))


def _modules(config: Path, files: list[Path] | None) -> Modules:
    from sentinel.collect.modules import load_modules
    from sentinel.config.settings import load_settings
    from sentinel.reload import expand

    with problems_told():
        return load_modules(files or expand(load_settings(config).collect.collectors, config.parent))


def _restrict(modules: Modules, names: list[str], user: str, output: Output) -> None:
    from sentinel.collect.ssh.restrict import PATH, authorized_key, forced_command, sudo_rules

    for name in names:
        if name not in modules.ssh:
            fail(f"module '{name}' does not read over SSH: there is no account to restrict", 2)
    chosen = [modules.ssh[name] for name in names]
    script = forced_command(chosen, user)
    if output is Output.TABLE:
        typer.echo(script, nl=False)
        return
    line = authorized_key("ssh-ed25519 AAAA…")
    rules = sudo_rules(chosen, user)
    show_json({"path": PATH, "script": script, "authorized_keys": line, "sudoers": rules})


def _rows(modules: Modules) -> list[Row]:
    return [
        {
            "name": name,
            "kind": kind,
            "description": modules.ssh[name].description if name in modules.ssh else "",
            "sections": len(modules.ssh[name].sections) if name in modules.ssh else 0,
        }
        for name, kind in sorted(modules.kinds.items())
    ]


_COLUMNS = (
    ("Module", lambda row: row["name"]),
    ("Reads", lambda row: row["kind"]),
    ("Sections#", lambda row: str(row["sections"] or "")),
    ("What", lambda row: row["description"]),
)


def _shown(modules: Modules, name: str) -> dict[str, Any]:
    """A module as JSON tells it."""
    if name in modules.ssh:
        return _ssh(modules.ssh[name])
    if name in modules.snmp:
        module = modules.snmp[name]
        return {"name": name, "kind": "snmp", "walk": list(module.walk), "get": list(module.get)}
    return {"name": name, "kind": modules.kinds[name]}


def _ssh(module: SshModule) -> dict[str, Any]:
    sections = [
        {
            "name": section.name,
            "every": section.every,
            "timeout": section.timeout,
            "parser": section.parser.name,
            "command": section.command,
        }
        for section in module.sections
    ]
    return {"name": module.name, "kind": "ssh", "description": module.description, "sections": sections}


def _text(module: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{module['name']}: {module.get('description') or 'read over ' + module['kind']}"]
    for section in module.get("sections", ()):
        often = f"every {format_duration(section['every'])}" if section["every"] else "with every poll"
        lines += ["", f"  {section['name']}: {often}, at most {format_duration(section['timeout'])}"]
        lines += [f"    {line}".rstrip() for line in section["command"].splitlines()]
    for word in ("walk", "get"):
        lines += [f"  {word} {oid}" for oid in module.get(word, ())]
    return "\n".join([*lines, ""])
