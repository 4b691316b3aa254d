"""Module files: what loads, and where the problems of those that do not are shown."""

from __future__ import annotations

import pytest

from sentinel.collect.snmp.modules import parse_auths, parse_modules
from sentinel.config.yaml import parse_yaml
from sentinel.model.problem import UnusableError

GOOD = """
auths:
  public_v1:
    community: public
    security_level: noAuthNoPriv
    auth_protocol: MD5
    priv_protocol: DES
    version: 1
  branch:
    community: branch-office
    version: 2
modules:
  ups:
    walk:
    - 1.3.6.1.2.1.33.1.2
    get:
    - 1.3.6.1.2.1.1.3.0
    max_repetitions: 10
    retries: 1
    timeout: 1s500ms
    metrics:
    - name: sysUpTime
      oid: 1.3.6.1.2.1.1.3
      type: gauge
      help: Since when - 1.3.6.1.2.1.1.3
    - name: upsBatteryStatus
      oid: 1.3.6.1.2.1.33.1.2.1
      type: EnumAsStateSet
      help: The battery - 1.3.6.1.2.1.33.1.2.1
      enum_values:
        1: unknown
        2: batteryNormal
    - name: upsBatteryVoltage
      oid: 1.3.6.1.2.1.33.1.2.5
      type: gauge
      scale: 0.1
      offset: -1
"""


def problems(text: str) -> list[str]:
    with pytest.raises(UnusableError) as caught:
        parse_modules(parse_yaml(text, "snmp.yml"))
    return [str(problem) for problem in caught.value.problems]


def test_a_file_of_todays_format_loads() -> None:
    module = parse_modules(parse_yaml(GOOD, "snmp.yml"))["ups"]
    assert module.walk == ("1.3.6.1.2.1.33.1.2",)
    assert (module.max_repetitions, module.retries, module.timeout) == (10, 1, 1.5)
    assert [metric.name for metric in module.metrics] == [
        "sysUpTime",
        "upsBatteryStatus",
        "upsBatteryVoltage",
    ]
    assert module.metrics[1].enum_values == {1: "unknown", 2: "batteryNormal"}
    assert (module.metrics[2].scale, module.metrics[2].offset) == (0.1, -1)


def test_the_communities_of_a_file_become_auths() -> None:
    auths = parse_auths(parse_yaml(GOOD, "snmp.yml"))
    assert {name: auth.version for name, auth in auths.items()} == {"public_v1": 1, "branch": 2}
    assert auths["branch"].community.reveal() == "branch-office"
    assert "branch-office" not in repr(auths)


def module(metric: str = "", more: str = "walk: [1.3.6.1.4.1.9]") -> str:
    return f"modules:\n  m:\n    {more}\n    metrics:\n      - {{{metric}}}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "snmp.yml:1:1: not a module file: 'modules:' is missing"),
        ("module: {}\n", "snmp.yml:1:1: unknown key 'module' (did you mean 'modules'?)"),
        (
            "if_mib:\n  walk: [1.3]\n",
            "snmp.yml:1:1: module 'if_mib' stands at the top, the older form of the file: put it under 'modules:'",
        ),
        (
            "auths:\n  a:\n    version: 3\nmodules: {}\n",
            "snmp.yml:3:5: SNMP version 3 is not supported yet",
        ),
        (module("name: a, oid: 1.3.6.1.4.1.9.1"), "snmp.yml:5:9: 'type' is missing"),
        (
            module("name: a, oid: 1.3.6.1.4.1.9.1, typ: gauge, type: gauge"),
            "snmp.yml:5:41: unknown key 'typ' (did you mean 'type'?)",
        ),
        (
            module("name: a, oid: 1.3.6.1.4.1.9.1, type: guage"),
            "snmp.yml:5:47: type: type 'guage' is not supported (did you mean 'gauge'?)",
        ),
        (
            module("name: a, oid: ifIndex, type: gauge"),
            "snmp.yml:5:24: oid: not an object identifier in numbers: 'ifIndex'",
        ),
        (
            module("name: a-b, oid: 1.3.6.1.4.1.9.1, type: gauge"),
            "snmp.yml:5:16: name: not a metric name: 'a-b'",
        ),
        (
            module("name: a, oid: 1.3.6.1.4.1.10.1, type: gauge"),
            "snmp.yml:5:24: metric 'a': no walk or get of the module reads 1.3.6.1.4.1.10.1",
        ),
        (
            module("name: a, oid: 1.3.6.1.4.1.9.1, type: EnumAsInfo"),
            "snmp.yml:5:47: EnumAsInfo needs enum_values",
        ),
        (
            module("name: a, oid: 1.3.6.1.4.1.9.1, type: gauge, regex_extracts: {Temp: [{regex: '(.*)'}]}"),
            "snmp.yml:5:70: regex_extracts: regex_extracts are not supported yet",
        ),
        (
            module(
                "name: a, oid: 1.3.6.1.4.1.9.1, type: gauge, lookups: "
                "[{labels: [row], labelname: x, oid: 1.3.6.1.4.1.9.2, type: gauge}]"
            ),
            "snmp.yml:5:74: 'row' is no index or earlier lookup of this metric",
        ),
        (
            "modules:\n  m:\n    walk: [1.3.6.1.4.1.9]\n    filters:\n      - oid: 1.3\n    metrics: []\n",
            "snmp.yml:5:7: filters: filters are not supported yet",
        ),
        (
            "modules:\n  m:\n    version: 2\n",
            "snmp.yml:3:14: version: the version belongs into [auth.NAME] of the configuration",
        ),
        (
            "modules:\n  m:\n    overrides: {}\n    walk: [1.3.6]\n",
            "snmp.yml:3:5: 'overrides' belongs to generator.yml: load the snmp.yml made from it",
        ),
        (
            "modules:\n  m:\n    timeout: soon\n",
            "snmp.yml:3:14: timeout: not a duration: 'soon' (write 30s, 5m, 1h30m; units y w d h m s ms)",
        ),
        (
            "modules:\n  m:\n    allow_nonincreasing_oids: true\n",
            "snmp.yml:3:31: allow_nonincreasing_oids: not supported yet; leave it out or set it to false",
        ),
    ],
)
def test_problems_are_shown_at_their_place(text: str, problem: str) -> None:
    assert problem in problems(text)


def test_all_problems_are_shown_at_once() -> None:
    text = "modules:\n  a:\n    walk: [x]\n  b:\n    metrics:\n      - {name: 1, oid: 1.3.6, type: gauge}\n"
    assert len(problems(text + "other: 1\n")) == 3
