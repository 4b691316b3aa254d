"""Files that one section prints for another: see `input` in the module files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sentinel.collect.ssh.modules import Section
from sentinel.collect.ssh.script import Reply
from sentinel.collect.ssh.session import Failure, Result

_HEADER = b"==> "


def lent(module: Iterable[Section], results: Mapping[str, Result]) -> dict[str, Result]:
    """The results with each such file moved to where it belongs.

    A section whose file is not there fails as the one that should have printed it, or as `missing`.

    Args:
        module: its sections, whether they ran or not: a text has the same form without those that it lends to.
        results: by section.
    """
    moved = dict(results)
    for section in module:
        if section.loan is None:
            continue
        own, given = moved.get(section.name), moved.get(section.loan.section, Failure("missing"))
        text = None
        if isinstance(given, Reply):
            text, rest = _cut(given.output, section.loan.file)
            moved[section.loan.section] = replace(given, output=rest)
        if isinstance(own, Reply):
            lost = given if isinstance(given, Failure) else Failure("missing")
            moved[section.name] = lost if text is None else replace(own, output=text + own.output)
    return moved


def _cut(output: bytes, file: str) -> tuple[bytes | None, bytes]:
    """A file's text out of what head(1) printed of several, and the rest."""
    header = b"==> %b <==\n" % file.encode()
    start = 0 if output.startswith(header) else output.find(b"\n" + header) + 1
    if not output.startswith(header, start):
        return None, output
    begin = start + len(header)
    # head(1) puts an empty line between files; what another command prints after it begins at once.
    end = output.find(b"\n" + _HEADER, begin - 1) + 1 or len(output)
    text = output[begin:end]
    return text.removesuffix(b"\n") if text.endswith(b"\n\n") else text, output[:start] + output[end:]
