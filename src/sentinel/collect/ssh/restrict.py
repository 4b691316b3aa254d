"""What a site puts on a host to hold Sentinel's account to a module's commands: a forced command, and sudo rules.

The forced command speaks the same lines as a shell does, but runs only functions that it has itself: what Sentinel,
or somebody with its key, sends beside their names is read and passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sentinel.collect.ssh.modules import Section, SshModule
from sentinel.collect.ssh.script import BEGIN, LEFTOVERS, MARK, PRELUDE, RUN, function

PATH = "/usr/local/bin/sentinel-read"
"""Where the script is meant to be on the host."""

_SUDO = re.compile(r"\bsudo -n ([^\n|;&<>()]+)")

_LOOP = f"""\
while IFS= read -r sentinel_line; do
  case $sentinel_line in
    {MARK}*)
      sentinel_mark=${{sentinel_line#{MARK}}}
      case $sentinel_mark in *[!0-9a-f]* | '') exit 1 ;; esac
      ;;
    {BEGIN}) {BEGIN} ;;
%s
    '{RUN}'*) printf '\\n%%s 127\\n' "$sentinel_mark" ;;
  esac
done
"""


def forced_command(modules: Sequence[SshModule], user: str) -> str:
    """The script, with what to do with it above."""
    sections = {function(one.name, one.command): one for module in modules for one in module.sections}
    names = " ".join(module.name for module in modules)
    head = [
        "#!/bin/sh",
        f"# Runs the commands of Sentinel's {names} and nothing else, whatever is sent.",
        f"# Written by: sentinel collectors show {names} --restrict",
        "# After an update that changes a command, its section is missing until this file is written anew.",
        "#",
        f"# 1. On the host: install -o root -m 755 THIS_FILE {PATH}",
        f"# 2. In ~{user}/.ssh/authorized_keys: {authorized_key('ssh-ed25519 AAAA…')}",
    ]
    rules = sudo_rules(modules, user)
    if rules:
        head += [
            f"# 3. In /etc/sudoers.d/{user} (visudo -cf checks it):",
            *(f"#    {rule}" for rule in rules),
        ]
    functions = [f"{name}() {{\n{one.command}\n}}\n" for name, one in sections.items()]
    cases = "\n".join(f"    '{RUN}{name}') {RUN}{name} ;;" for name in sections)
    return "\n".join([*head, "", LEFTOVERS + PRELUDE, *functions, _LOOP % cases])


def authorized_key(key: str) -> str:
    """The line of authorized_keys."""
    return f'restrict,command="{PATH}" {key}'


def sudo_rules(modules: Sequence[SshModule], user: str) -> list[str]:
    """Rules for the commands that need root; empty where none does."""
    sections = [section for module in modules for section in module.sections]
    commands = dict.fromkeys(command for section in sections for command in _as_root(section))
    return [f"{user} ALL=(root) NOPASSWD: {command}" for command in commands]


def _as_root(section: Section) -> Iterator[str]:
    for found in _SUDO.finditer(section.command):
        # sudoers gives these characters a meaning. Source: sudoers(5), "Other special characters".
        yield re.sub(r"([,:=\\])", r"\\\1", found[1].strip())
