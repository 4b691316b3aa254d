"""Auths that module files bring along, version 3 among them."""

from __future__ import annotations

import pytest

from sentinel.collect.snmp.auths import parse_auths
from sentinel.collect.snmp.modules import parse_modules
from sentinel.config.yaml import parse_yaml
from tests.unit.snmp.test_modules import problems

OLDER = """
v3:
  version: 3
  auth:
    username: reader
    security_level: authNoPriv
    password: canary-password
    auth_protocol: SHA
    priv_protocol: DES
  walk: [1.3.6.1.2.1.1]
"""


def test_a_module_of_the_older_format_may_use_version_3() -> None:
    found = parse_modules(parse_yaml(OLDER, "snmp.yml"))
    auth = found["v3"].auth
    assert auth is not None
    assert (auth.version, auth.username, auth.auth_protocol) == (3, "reader", "SHA")
    assert auth.priv_password is None
    assert "canary" not in repr(found)


def test_users_of_version_3_have_snmp_exporters_defaults() -> None:
    text = "auths:\n  a: {version: 3, username: u, security_level: authPriv, password: p, priv_password: q}\n"
    auth = parse_auths(parse_yaml(text, "snmp.yml"))["a"]
    assert (auth.auth_protocol, auth.priv_protocol) == ("MD5", "DES")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "auths:\n  a:\n    version: 3\n    username: me\n    security_level: authNoPriv\nmodules: {}\n",
            "snmp.yml:3:5: authNoPriv needs password",
        ),
        (
            "m:\n  version: 3\n  walk: [1.3.6]\n  auth:\n    security_level: noAuthNoPriv\n",
            "snmp.yml:5:5: version 3 needs username",
        ),
        (
            "auths:\n  a:\n    version: 3\n    username: u\n    security_level: most\nmodules: {}\n",
            "snmp.yml:5:21: Input should be 'noAuthNoPriv', 'authNoPriv' or 'authPriv'",
        ),
    ],
)
def test_what_is_missing_is_shown_at_its_place(text: str, problem: str) -> None:
    assert problem in problems(text)
