"""An Alertmanager's configuration in Sentinel's words; the real amtool says how it routes."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.config.alertmanager import Converted, convert
from sentinel.config.notify import NOBODY, RouteSettings
from sentinel.config.settings import load_settings
from sentinel.model.problem import UnusableError
from sentinel.notify.tree import Route
from sentinel.reload import build
from tests.servers.debian import environment, program
from tests.unit.cli.conftest import sentinel
from tests.unit.notify.test_tree import VALUES, amtool_on, trees

__all__ = ["sentinel"]

BARE = "[collect]\ncollectors = []\n[rules]\nfiles = []\n"
HOOK = {"url": "http://127.0.0.1:9/hook"}
FULL = """\
global:
  resolve_timeout: 5m
  smtp_smarthost: 'mail.example.org:587'
  smtp_from: 'am@example.org'
  smtp_auth_username: am
  smtp_auth_password_file: smtp-password
  opsgenie_api_key_file: opsgenie-key
route:
  receiver: ops
  group_by: [alertname]
  routes:
  - match: {severity: critical, team: ''}
    match_re: {job: 'if_.*|x'}
    receiver: pager
    continue: yes
  - matchers: ['alertname=Watchdog']
    receiver: 'null'
  - matchers: ['team=net', 'site!~"a b"']
    receiver: net
    routes:
    - matchers: [x=1]
      continue: true
    - matchers: [y=1]
      receiver: chat
      mute_time_intervals: [night]
receivers:
- name: 'null'
- name: ops
  email_configs:
  - to: 'a@example.org, b@example.org'
    headers: {subject: x}
- name: pager
  pagerduty_configs: [{routing_key: abcdef}]
  opsgenie_configs: [{tags: 'a, b', responders: [{type: team, name: net}, {type: user, name: li}]}]
- name: net
  webhook_configs:
  - url: http://127.0.0.1:9/hook
    http_config:
      authorization: {credentials: tok}
      tls_config: {ca_file: tls/ca.pem}
  - url_file: hook-url
    send_resolved: false
  slack_configs:
  - api_url: https://hooks.slack.example.org/services/T0/B0/x
    channel: '#net'
- name: chat
  telegram_configs: [{bot_token: '1:abc', chat_id: -100123, message_thread_id: 7}]
- name: old
  wechat_configs: [{corp_id: x, api_secret: y}]
inhibit_rules:
- source_matchers: [severity=critical]
  target_matchers: [severity=warning]
  equal: [instance]
time_intervals:
- name: night
  time_intervals: [{times: [{start_time: '20:00', end_time: '24:00'}]}]
"""


@pytest.fixture
def full(tmp_path: Path) -> Path:
    for name in ("smtp-password", "opsgenie-key"):
        (tmp_path / name).write_text("geheim\n")
    (tmp_path / "hook-url").write_text("http://127.0.0.1:9/other\n")
    (tmp_path / "tls").mkdir()
    authority = Path("/etc/ssl/certs/ca-certificates.crt")
    (tmp_path / "tls/ca.pem").write_bytes(authority.read_bytes())
    file = tmp_path / "alertmanager.yml"
    file.write_text(FULL)
    return file


def debian(full: Path) -> Path:
    """The same without two keys that are younger than Debian's amtool."""
    older = full.with_name("debian.yml")
    text = FULL.replace("url_file: hook-url", "url: http://127.0.0.1:9/other")
    older.write_text(text.replace(", message_thread_id: 7", ""))
    return older


def converted(file: Path) -> Converted:
    return convert(file.read_text(), str(file))


def ours(made: Converted, labels: Mapping[str, str]) -> set[str]:
    tree = Route.of(RouteSettings.model_validate(tomllib.loads(made.text)["route"]))
    return set(tree.receivers(labels)) - {NOBODY}


def theirs(made: Converted, file: Path, labels: Mapping[str, str]) -> set[str]:
    return {name for receiver in amtool_on(file, labels) for name in made.channels[receiver]}


def test_what_is_converted_loads_and_holds_what_was_said(full: Path) -> None:
    made = converted(full)
    subprocess.run([program("amtool"), "check-config", debian(full)], env=environment(), check=True)
    config = full.parent / "config.toml"
    config.write_text(BARE + made.text)
    found = {one.name: one for one in build(config).settings.receiver}
    assert list(found) == [
        "ops",
        "pager pagerduty",
        "pager opsgenie",
        "net webhook",
        "net webhook 2",
        "net slack",
        "chat",
    ]
    tables = {one["name"]: one for one in tomllib.loads(made.text)["receiver"]}
    assert tables["ops"] == {
        "name": "ops",
        "kind": "email",
        "to": ["a@example.org", "b@example.org"],
        "from": "am@example.org",
        "smarthost": "mail.example.org:587",
        "username": "am",
        "password": {"file": str(full.parent / "smtp-password")},
        "send_resolved": False,
    }
    assert tables["net webhook"]["headers"] == {"Authorization": "Bearer tok"}
    assert tables["net webhook"]["ca_file"] == str(full.parent / "tls/ca.pem")
    assert tables["net webhook 2"]["url"] == {"file": str(full.parent / "hook-url")}
    assert tables["net webhook 2"]["send_resolved"] is False
    assert tables["pager opsgenie"]["teams"] == ["net"]
    assert tables["chat"]["thread"] == 7


def test_what_has_no_counterpart_is_told_with_its_line(full: Path) -> None:
    told = {problem.line: problem.text for problem in converted(full).findings}
    lines = FULL.splitlines()
    about = {lines[line - 1].strip(" -").split(":")[0]: text for line, text in told.items()}
    assert about.keys() >= {
        "receiver",
        "headers",
        "channel",
        "wechat_configs",
    }
    assert "nobody is told" in about["receiver"]
    assert 'kind = "wecom"' in about["wechat_configs"]
    assert "routing_key is a secret in plain text" in about["pagerduty_configs"]
    for line, text in told.items():
        assert f"# alertmanager.yml:{line}: {text}" in converted(full).text


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"alertname": "Watchdog"},
        {"severity": "critical", "job": "if_mib"},
        {"severity": "critical", "job": "x", "team": "net"},
        {"team": "net", "x": "1"},
        {"team": "net", "x": "1", "y": "1"},
        {"team": "net", "y": "1"},
        {"team": "net", "site": "a b"},
        {"team": "net"},
    ],
)
def test_the_full_one_routes_as_amtool_says(full: Path, labels: dict[str, str]) -> None:
    made = converted(full)
    assert ours(made, labels) == theirs(made, debian(full), labels)


@settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(tree=trees(), labels=st.dictionaries(st.sampled_from("xyz"), VALUES))
def test_generated_ones_route_as_amtool_says(
    tree: dict[str, Any], labels: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "alertmanager.yml"
    receivers = [{"name": f"r{number}", "webhook_configs": [HOOK] * (number % 4)} for number in range(10)]
    file.write_text(json.dumps({"route": tree, "receivers": receivers}, ensure_ascii=False))
    made = converted(file)
    (tmp_path / "config.toml").write_text(made.text)
    load_settings(tmp_path / "config.toml")
    assert ours(made, labels) == theirs(made, file, labels)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "not YAML"),
        ("groups: []", "there is no route"),
        ("route: {receiver: a}", "unknown receiver 'a'"),
        ("route: {receiver: aab}\nreceivers: [{name: aaa}]", "did you mean 'aaa'"),
        ("route: {receiver: a}\nreceivers: [{name: a}, {name: a}]", "defined twice"),
        (
            "route: {receiver: a, routes: [{matchers: ['x=~[']}]}\nreceivers: [{name: a}]",
            "1:44: matcher 'x=~['",
        ),
        ("route: {receiver: a, match: {a: b}}\nreceivers: [{name: a}]", "top route may not have matchers"),
    ],
)
def test_what_an_alertmanager_refuses_is_refused(text: str, why: str) -> None:
    with pytest.raises(UnusableError) as caught:
        convert(text, "alertmanager.yml")
    assert why in str(caught.value)


def test_a_tree_that_would_grow_without_bound_is_refused() -> None:
    route: dict[str, Any] = {"receiver": "r"}
    for _ in range(9):
        routes = [{**route, "continue": True, "matchers": ["a=b"]} for _ in range(3)]
        route = {"receiver": "r", "routes": routes[:1] + [{"continue": True}] * 30}
    whole = {"route": route, "receivers": [{"name": "r", "webhook_configs": [HOOK, HOOK]}]}
    with pytest.raises(UnusableError, match="more than 10000 routes"):
        convert(json.dumps(whole), "alertmanager.yml")


@pytest.mark.parametrize(
    ("receiver", "why"),
    [
        ({"email_configs": [{"to": "a@b.org"}]}, "needs a sender"),
        (
            {"email_configs": [{"to": "{{ .x }}", "from": "a@b.org", "smarthost": "m:25"}]},
            "not a mail address",
        ),
        ({"slack_configs": [{"api_url": "https://slack.com/api/chat.postMessage"}]}, "bot's token"),
        ({"pagerduty_configs": [{"service_key": "x"}]}, "Events API v2"),
        ({"webhook_configs": [{"url": "ftp://x/"}]}, "not an http"),
        ({"carrier_pigeon_configs": [{}]}, "no counterpart"),
    ],
)
def test_a_channel_that_cannot_be_taken_over_leaves_a_reason_and_tells_nobody(
    receiver: dict[str, Any], why: str
) -> None:
    whole = {"route": {"receiver": "r"}, "receivers": [{"name": "r", **receiver}]}
    made = convert(json.dumps(whole), "alertmanager.yml")
    assert made.channels == {"r": ()}
    assert tomllib.loads(made.text) == {"route": {"receiver": NOBODY, "group_by": []}}
    assert any(why in problem.text for problem in made.findings)


def test_texts_of_the_file_stay_in_their_place() -> None:
    name = 'a"b\nroute]#\x7f'
    whole = {"route": {"receiver": name}, "receivers": [{"name": name, "x\ny_configs": []}]}
    made = convert(json.dumps(whole), "alert\nmanager.yml")
    assert tomllib.loads(made.text) == {"route": {"receiver": NOBODY, "group_by": []}}


async def test_the_command_prints_the_conversion_and_warns(sentinel: Any, full: Path) -> None:
    told = await sentinel("import", "alertmanager", str(full))
    assert told.exit_code == 0
    assert told.stdout == converted(full).text
    assert f"warning: {full}:" in told.stderr
    assert tomllib.loads(told.stdout)["route"]["resolve_timeout"] == "5m"
    config = full.parent / "config.toml"
    config.write_text(BARE + told.stdout)
    assert (await sentinel("check", "-c", str(config))).exit_code == 0
    gone = await sentinel("import", "alertmanager", str(full.parent / "gone.yml"))
    assert (gone.exit_code, gone.stdout) == (1, "")
