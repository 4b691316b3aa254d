"""Module files: what loads, and where the problems of those that do not are shown."""

from __future__ import annotations

import pytest

from sentinel.collect.snmp.auths import parse_auths
from sentinel.collect.snmp.modules import join_modules, parse_modules
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


OLDER = """
ups:
  version: 1
  auth:
    community: old-office
  walk: [1.3.6.1.2.1.33.1.2]
  timeout: 1.5s
  metrics:
  - name: upsBatteryVoltage
    oid: 1.3.6.1.2.1.33.1.2.5
    type: gauge
"""


def test_a_file_of_the_older_format_loads_with_each_modules_own_auth() -> None:
    found = parse_modules(parse_yaml(OLDER, "snmp.yml"))
    ups = found["ups"].auth
    assert ups is not None
    assert (ups.version, ups.community.reveal()) == (1, "old-office")
    assert found["ups"].timeout == 1.5
    assert "old-office" not in repr(found)


def test_a_file_says_both_versions_of_the_format_and_may_carry_a_number() -> None:
    text = "version: 2\nauths: {}\nmodules:\n  m: {walk: [1.3.6.1.2.1.1], version: 1}\n"
    auth = parse_modules(parse_yaml(text, "snmp.yml"))["m"].auth
    assert auth is not None
    assert auth.version == 1


BASES = """
modules:
  base:
    walk: [1.3.6.1.2.1.2]
    timeout: 2s
    max_repetitions: 10
    metrics:
    - {name: a, oid: 1.3.6.1.2.1.2.1, type: gauge}
    - {name: b, oid: 1.3.6.1.2.1.2.2, type: gauge, help: from base}
"""
VENDOR = """
modules:
  vendor:
    extends: [base]
    identify: {sys_object_id: [1.3.6.1.4.1.9], sys_descr: ["(?i)vendor os"]}
    walk: [1.3.6.1.2.1.2, 1.3.6.1.4.1.9.9]
    get: [1.3.6.1.2.1.1.3.0]
    max_repetitions: 5
    metrics:
    - {name: b, oid: 1.3.6.1.4.1.9.9.1, type: gauge, help: from vendor}
    - {name: c, oid: 1.3.6.1.2.1.1.3, type: gauge}
"""


def test_a_module_has_what_it_extends_and_its_own_on_top() -> None:
    documents = [parse_yaml(VENDOR, "vendor.yml"), parse_yaml(BASES, "base.yml")]
    vendor = join_modules(documents)["vendor"]
    assert vendor.walk == ("1.3.6.1.2.1.2", "1.3.6.1.4.1.9.9")
    assert vendor.get == ("1.3.6.1.2.1.1.3.0",)
    assert [(metric.name, metric.help) for metric in vendor.metrics] == [
        ("a", ""),
        ("b", "from vendor"),
        ("c", ""),
    ]
    assert (vendor.timeout, vendor.max_repetitions) == (2.0, 5)
    assert vendor.extends == {"base"}


def test_static_filters_leave_only_their_rows_to_be_read() -> None:
    text = """
modules:
  m:
    walk: [1.3.6.1.2.1.2.2]
    filters:
      static:
      - targets: [1.3.6.1.2.1.2.2.1.10]
        indices: ["2", "4"]
    metrics:
    - {name: a, oid: 1.3.6.1.2.1.2.2.1.10, type: counter}
    - {name: b, oid: 1.3.6.1.2.1.2.2.1.8, type: gauge}
"""
    module = parse_modules(parse_yaml(text, "m.yml"))["m"]
    assert module.walk == ("1.3.6.1.2.1.2.2.1.8", "1.3.6.1.2.1.2.2.1.10.2", "1.3.6.1.2.1.2.2.1.10.4")


def module(metric: str = "", more: str = "walk: [1.3.6.1.4.1.9]") -> str:
    return f"modules:\n  m:\n    {more}\n    metrics:\n      - {{{metric}}}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("- a\n", "snmp.yml:1:1: not a module file: 'modules:' is missing"),
        ("module: {}\n", "snmp.yml:1:1: unknown key 'module' (did you mean 'modules'?)"),
        (
            "modules: {}\nif_mib:\n  walk: [1.3]\n",
            "snmp.yml:2:1: module 'if_mib' stands at the top beside 'modules:': put it below that",
        ),
        ("if_mib:\n  walk: [1.3.6]\nother: 1\n", "snmp.yml:3:1: unknown key 'other'"),
        ("auths: []\nmodules: {}\n", "snmp.yml:1:1: 'auths:' must map names to auths"),
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
            "snmp.yml:5:24: oid: not an object identifier in numbers: 'ifIndex': names belong to generator.yml, "
            "load the snmp.yml made from it",
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
            module("name: a, oid: 1.3.6.1.4.1.9.1, type: Bits"),
            "snmp.yml:5:47: Bits need enum_values",
        ),
        (
            module("name: a, oid: 1.3.6.1.4.1.9.1, type: ParseDateAndTime"),
            "snmp.yml:5:47: ParseDateAndTime needs datetime_pattern",
        ),
        (
            module(
                "name: a, oid: 1.3.6.1.4.1.9.1, type: DisplayString, regex_extracts: {T: [{regex: '(.*'}]}"
            ),
            "snmp.yml:5:92: regex: not a regular expression: missing ): (.*",
        ),
        (
            module("name: a, oid: 1.3.6.1.4.1.9.1, type: OctetString, display_hint: '@mib'"),
            "snmp.yml:5:75: display_hint: '@mib' belongs to generator.yml: load the snmp.yml made from it",
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
            "snmp.yml:5:9: 'targets' is missing",
        ),
        (
            "modules:\n  m:\n    walk: [sysUpTime]\n",
            "snmp.yml:3:12: not an object identifier in numbers: 'sysUpTime': names belong to generator.yml, "
            "load the snmp.yml made from it",
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
            "modules:\n  m: {extends: [n]}\n  n: {walk: [1.3.6]}\n  o: {extends: [a, l]}\n",
            "snmp.yml:4:17: there is no SNMP module 'a' to extend",
        ),
        (
            "modules:\n  a: {extends: [b]}\n  b: {extends: [a]}\n",
            "snmp.yml:3:17: modules extend each other in a circle: a → b → a",
        ),
        ("modules:\n  a: {identify: {}}\n", "snmp.yml:2:17: identify: needs sys_object_id or sys_descr"),
    ],
)
def test_problems_are_shown_at_their_place(text: str, problem: str) -> None:
    assert problem in problems(text)


def test_all_problems_are_shown_at_once() -> None:
    text = "modules:\n  a:\n    walk: [x]\n  b:\n    metrics:\n      - {name: 1, oid: 1.3.6, type: gauge}\n"
    assert len(problems(text + "other: 1\n")) == 3
