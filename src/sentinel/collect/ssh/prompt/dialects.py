"""How network devices' command lines look: prompts, paging and complaints, by vendor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_NAME: Final = r"[\w.\-/:+]{1,128}"


@dataclass(frozen=True, slots=True)
class Dialect:
    """One vendor's command line."""

    name: str
    prompt: re.Pattern[str]
    """The whole last line of the screen when the device waits for a command."""
    quiet: tuple[str, ...]
    """Commands that turn paging off for this session; a device that does not know one is asked page by page."""
    more: re.Pattern[str]
    """In the last line: there is another page, a blank brings it."""
    wrong: re.Pattern[str]
    """A line that says the command is not known or not allowed."""
    leave: str
    """What ends the session."""


def _dialect(name: str, prompt: str, quiet: tuple[str, ...], wrong: str, leave: str) -> Dialect:
    more = r"-{2,}\s?\(?\s?more\b|<--- More --->|press any key to continue|\bmore:? *<?space"
    return Dialect(
        name,
        re.compile(prompt, re.ASCII),
        quiet,
        re.compile(more, re.IGNORECASE),
        re.compile(wrong, re.IGNORECASE),
        leave,
    )


DIALECTS: Final[Mapping[str, Dialect]] = {
    one.name: one
    for one in (
        # Cisco IOS, IOS XE, NX-OS, ASA; Arista EOS, Ruijie and others alike. `host>`, `host#`, `host(cfg)#`.
        _dialect(
            "cisco_ios",
            rf"{_NAME}(?:\([\w\-/. ]{{1,64}}\))?[>#]",
            ("terminal length 0", "terminal width 511"),
            r"^% ?(?:invalid|incomplete|ambiguous|unknown|authorization failed|bad )|^\s*% ?error",
            "exit",
        ),
        # Huawei VRP: `<host>`, `[host]`, with HRP_M or ~ or * before the name on some.
        _dialect(
            "huawei_vrp",
            rf"(?:HRP_[MSA]\w?)?[<\[][~*]?{_NAME}[>\]]",
            ("screen-length 0 temporary",),
            r"^\s*error: ?(?:unrecognized|incomplete|ambiguous|wrong|too many|unknown|permission|failed)",
            "quit",
        ),
        # H3C and HPE Comware: `<host>`, `[host]`.
        _dialect(
            "h3c_comware",
            rf"(?:RBM_[PS])?[<\[]{_NAME}[>\]]",
            ("screen-length disable",),
            r"^\s*% ?(?:unrecognized|incomplete|ambiguous|wrong|too many|permission)",
            "quit",
        ),
        # Juniper Junos: `user@host>`, `user@host:RE:0>`, a line such as {master:0} above it.
        _dialect(
            "juniper_junos",
            rf"[\w.\-]{{1,64}}@{_NAME}[>#%]",
            ("set cli screen-length 0", "set cli screen-width 0"),
            r"^\s*(?:unknown command|syntax error|missing argument|error: (?:command|permission|unknown))",
            "exit",
        ),
    )
}
