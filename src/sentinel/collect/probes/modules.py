"""Probe module files, as they are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sentinel.collect.probes.format import (
    DnsSettings,
    File,
    GrpcSettings,
    HttpSettings,
    IcmpSettings,
    NtpSettings,
    TcpSettings,
    TlsSettings,
)
from sentinel.config.document import Document, validated
from sentinel.config.document import Path as Where
from sentinel.model.problem import Problem, UnusableError

What = HttpSettings | TcpSettings | IcmpSettings | DnsSettings | GrpcSettings | NtpSettings

_FILES = ("ca_file", "cert_file", "key_file")


@dataclass(frozen=True, slots=True)
class ProbeModule:
    """One way of asking a service."""

    name: str
    prober: str
    description: str
    timeout: float
    """Seconds; 0: as long as the poll may take."""
    settings: What
    folder: Path
    """What file names in the settings are relative to."""


def is_probe_file(document: Document) -> bool:
    """Probe modules name their prober; no other kind has that key."""
    modules = document.data.get("modules") if isinstance(document.data, Mapping) else None
    entries = modules.values() if isinstance(modules, Mapping) else ()
    return any(isinstance(entry, Mapping) and "prober" in entry for entry in entries)


def parse_modules(document: Document) -> dict[str, ProbeModule]:
    """The modules of one file.

    Raises:
        UnusableError: every problem with its place.
    """
    written = validated(File, document)
    folder = Path(document.file).parent
    modules = {}
    problems: list[Problem] = []
    for name, one in written.modules.items():
        settings = getattr(one, one.prober)
        modules[name] = ProbeModule(name, one.prober, one.description, one.timeout, settings, folder)
        problems += _missing_files(document, ("modules", name, one.prober), settings, folder)
    if problems:
        raise UnusableError(problems)
    return modules


def _missing_files(document: Document, path: Where, settings: What, folder: Path) -> Iterator[Problem]:
    """Files that are named and are not there; they may still change while the daemon runs."""
    tls = getattr(settings, "tls_config", None)
    named: list[tuple[Where, str]] = []
    if isinstance(tls, TlsSettings):
        named += [(("tls_config", key), getattr(tls, key)) for key in _FILES]
    if isinstance(settings, HttpSettings):
        named += [((key,), getattr(settings, key)) for key in ("body_file", "bearer_token_file")]
        if settings.basic_auth:
            named += [(("basic_auth", "password_file"), settings.basic_auth.password_file)]
            named += [(("basic_auth", "username_file"), settings.basic_auth.username_file)]
        if settings.authorization:
            named += [(("authorization", "credentials_file"), settings.authorization.credentials_file)]
    for keys, file in named:
        if file and not (folder / file).is_file():
            yield document.problem(
                (*path, *keys), f"{keys[-1]}: there is no file {folder / file}", value=True
            )
