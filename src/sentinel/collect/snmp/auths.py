"""The auths that a module file brings along: `auths:` today, `auth:` inside a module in the older format."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from sentinel.collect.snmp.format import AuthFile
from sentinel.config.auth import SnmpAuth
from sentinel.config.document import Document, Path, validated
from sentinel.model.problem import Problem, UnusableError


def parse_auths(document: Document) -> dict[str, SnmpAuth]:
    """What stands under `auths:`, by name.

    Raises:
        UnusableError: not in the format, or not enough to log in with; every problem at its place.
    """
    auths = document.data.get("auths") if isinstance(document.data, Mapping) else None
    found: dict[str, SnmpAuth] = {}
    problems: list[Problem] = []
    if auths is not None and not isinstance(auths, Mapping):
        problems.append(document.problem(("auths",), "'auths:' must map names to auths"))
        auths = {}
    for name in auths or ():
        path: Path = ("auths", name)
        try:
            found[name] = auth_of(validated(AuthFile, document, at=path), document, path)
        except UnusableError as error:
            problems += error.problems
    if problems:
        raise UnusableError(problems)
    return found


def auth_of(written: AuthFile, document: Document, path: Path) -> SnmpAuth:
    """An entry as Sentinel's own auth; what does not belong to its version or level is left out.

    Raises:
        UnusableError: not enough to log in with.
    """
    fields: dict[str, object] = {"kind": "snmp", "version": written.version}
    if written.version < 3:
        fields["community"] = written.community
    else:
        fields |= {"username": written.username, "security_level": written.security_level}
        fields["context_name"] = written.context_name
        if written.security_level != "noAuthNoPriv":
            fields |= {"password": written.password, "auth_protocol": written.auth_protocol}
        if written.security_level == "authPriv":
            fields |= {"priv_password": written.priv_password, "priv_protocol": written.priv_protocol}
    try:
        return SnmpAuth.model_validate(fields)
    except ValidationError as error:
        raise UnusableError(
            document.problem((*path, *detail["loc"]), detail["msg"].removeprefix("Value error, "), value=True)
            for detail in error.errors(include_input=False)
        ) from None
