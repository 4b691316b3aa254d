"""/api/v2 beside a real Alertmanager: the same requests, the same answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.acceptance.daemon import Daemon
from tests.servers.alertmanager import Alertmanager

TIMES = {"group_wait": "1h", "group_interval": "1h", "repeat_interval": "1h"}
ROUTES: list[dict[str, Any]] = [
    {"receiver": "db", "matchers": ['job="db"'], "group_by": ["..."], "continue": True},
    {"receiver": "net", "matchers": ['job=~"db|net"'], "group_by": ["instance", "job"]},
    {"receiver": "db", "matchers": ['severity="warning"'], "group_by": ["severity"]},
]
INHIBIT = {
    "source_matchers": ['severity="critical"'],
    "target_matchers": ['severity="warning"'],
    "equal": ["instance"],
}
BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NOW_TAKES = 10.0
"""Seconds by which instants made of the present may differ."""


def toml() -> str:
    """The same as below for Sentinel."""
    lines = ['[route]\nreceiver = "top"\ngroup_by = ["alertname"]']
    lines += [f"{key} = {json.dumps(value)}" for key, value in TIMES.items()]
    for route in ROUTES:
        lines.append("[[route.routes]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in route.items()]
    lines.append("[[inhibit]]")
    lines += [f"{key} = {json.dumps(value)}" for key, value in INHIBIT.items()]
    for name in ("top", "db", "net"):
        lines.append(f'[[receiver]]\nname = "{name}"\nkind = "webhook"\nurl = "http://127.0.0.1:1/"')
    return "\n".join(lines)


def their_config() -> str:
    receivers = [
        {"name": name, "webhook_configs": [{"url": "http://127.0.0.1:1/"}]} for name in ("top", "db", "net")
    ]
    route = {"receiver": "top", "group_by": ["alertname"], "routes": ROUTES, **TIMES}
    return json.dumps({"route": route, "receivers": receivers, "inhibit_rules": [INHIBIT]})


class Both:
    """A Sentinel and an Alertmanager that are asked the same."""

    def __init__(self, ours: Daemon, theirs: Alertmanager, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.ours = httpx.Client(base_url=ours.url + "/api/v2", headers=headers, timeout=20)
        self.theirs = httpx.Client(base_url=theirs.url + "/api/v2", timeout=20)
        self.numbers = count()

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[httpx.Response, httpx.Response]:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind} if content is not None else {}
        ours = self.ours.request(method, path, content=content, headers=headers)
        theirs = self.theirs.request(method, path, content=content, headers=headers)
        return ours, theirs

    def until_same(self, path: str, plain: Any) -> Any:
        """What both say; an Alertmanager takes alerts into groups beside its answer."""
        deadline = time.monotonic() + 15
        while True:
            ours, theirs = (plain(one.json()) for one in self.ask("GET", path))
            if ours == theirs or time.monotonic() > deadline:
                assert ours == theirs
                return ours
            time.sleep(0.05)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("both")
    for name in ("ours", "theirs"):
        (folder / name).mkdir()
    ours, theirs = (
        Daemon(folder / "ours", toml()),
        Alertmanager(folder / "theirs", told="http://127.0.0.1:1/"),
    )
    (folder / "theirs/alertmanager.yml").write_text(their_config())
    with theirs:
        asyncio.run(ours.start())
        try:
            made = ours.command("token", "create", "both", "--config", str(ours.config))
            yield Both(ours, theirs, made.stdout.strip())
        finally:
            ours.kill()


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().isoformat()


def plain_alert(alert: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same on both sides; Debian's Alertmanager does not know mutedBy yet."""
    status = {key: value for key, value in alert["status"].items() if key != "mutedBy"}
    kept = {key: value for key, value in alert.items() if key not in ("updatedAt", "startsAt", "endsAt")}
    return {**kept, "status": status}


def plain_alerts(alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [plain_alert(alert) for alert in alerts]


def plain_groups(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**group, "alerts": plain_alerts(group["alerts"])} for group in groups]


GOOD = {"alertname": "Good", "case": "refused"}
REFUSED: list[Any] = [
    b"",
    [{}],
    [{"labels": None}],
    [{"labels": {}}],
    [{"labels": {"a": ""}}],
    [{"labels": {"a": None}}],
    [{"labels": {"": "x"}}],
    [{"labels": {"a": "b"}, "annotations": {"": "y"}}],
    [{"labels": {"a": "b"}, "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2019-01-01T00:00:00Z"}],
    [{"labels": {"a": "b"}, "startsAt": "2300-01-01T00:00:00"}],
    [{"labels": {"a": "b"}, "startsAt": "2300-01-01 00:00:00.5"}],
    [{"labels": {"a": "b"}, "generatorURL": "not a url"}],
    [{"labels": {}, "generatorURL": "no"}],
    [{"labels": {}}, {"labels": GOOD}, {"labels": {"": "x"}}],
]
UNREADABLE: list[Any] = [
    b"{",
    b'"x"',
    {"labels": {}},
    [1],
    [{"labels": {"a": 1}}],
    [{"labels": ["a"]}],
    [{"labels": {"a": "b"}, "annotations": 1}],
    [{"labels": {"a": "b"}, "startsAt": "x"}],
    [{"labels": {"a": "b"}, "startsAt": "2300-01-01"}],
    [{"labels": {"a": "b"}, "endsAt": 5}],
    [{"labels": {"a": "b"}, "generatorURL": 5}],
]


def test_alerts_are_refused_in_the_same_words(both: Both) -> None:
    for body in REFUSED:
        ours, theirs = both.ask("POST", "/alerts", body)
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), body
    for body in UNREADABLE:
        ours, theirs = both.ask("POST", "/alerts", body)
        assert ours.status_code == theirs.status_code == 400, body
        assert ours.json()["code"] == theirs.json()["code"] == 400, body
        prefix = 'parsing alerts body from "" failed, because '
        assert ours.json()["message"].startswith(prefix), body
        assert theirs.json()["message"].startswith(prefix), body
    found = both.until_same("/alerts?filter=case=refused", plain_alerts)
    assert [one["labels"] for one in found] == [GOOD], "what was in order was taken"
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        ours, theirs = both.ask("POST", "/alerts", [], kind)
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
    assert [
        one.status_code for one in both.ask("POST", "/alerts", [], "application/json; charset=utf-8")
    ] == [
        200,
        200,
    ]
    for method, path in (
        ("PUT", "/alerts"),
        ("DELETE", "/alerts"),
        ("GET", "/nothing"),
        ("GET", "/silence/"),
    ):
        ours, theirs = both.ask(method, path, b"[]" if method == "PUT" else None)
        assert ours.status_code == theirs.status_code == ours.json()["code"], path


ODD: list[Any] = [
    b'[{"labels":{"case":"odd","a":"\xff\xfe"}}]',
    b'[{"labels":{"case":"odd","a":"x","a":"y"},"extra":1}]',
    b"[]",
    b"null",
    [{"labels": {"case": "odd", "text": "<img src=x onerror=alert(1)>\n\t\x00\x1b 中文 \U0001f600"}}],
    [{"labels": {"case": "odd", "__name__": "up", "_": "u"}, "annotations": None}],
    [{"labels": {"case": "odd", "url": "1"}, "generatorURL": "javascript:alert(1)"}],
    [{"labels": {"case": "odd", "url": "2"}, "generatorURL": "/graph?g0.expr=up%20%3D%3D%200"}],
    [{"labels": {"case": "odd", "url": "3"}, "generatorURL": "http://[::1]:9090/a?b#c"}],
    [{"labels": {"case": "odd", "long": "x" * 20_000}, "annotations": {"summary": "y" * 20_000}}],
    [{"labels": {"case": "odd", **{f"l{number}": f"{number}" for number in range(200)}}}],
    [{"labels": {"case": "odd", "empty": "", "null": None}}],
]


def test_odd_alerts_are_taken_and_shown_alike(both: Both) -> None:
    for body in ODD:
        ours, theirs = both.ask("POST", "/alerts", body)
        assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content) == (200, b""), body
    found = both.until_same("/alerts?filter=case=odd", plain_alerts)
    assert len(found) == len(ODD) - 2
    assert found == sorted(found, key=lambda alert: str(alert["fingerprint"]))


LABELS = [
    {"alertname": name, **more}
    for name in ("Down", "Slow")
    for more in (
        {"job": "db", "instance": "a", "severity": "critical"},
        {"job": "db", "instance": "a", "severity": "warning"},
        {"job": "db", "instance": "b", "severity": "warning"},
        {"job": "net", "instance": "a"},
        {"job": "net", "severity": "warning"},
        {"severity": "critical", "instance": "c d"},
        {"instance": "a"},
        {"x": "", "team": 'q"uo\\te'},
    )
]


@pytest.fixture(scope="module")
def fleet(both: Both) -> Both:
    """Alerts of which some are silenced, some inhibited."""
    ours, theirs = both.ask("POST", "/alerts", [{"labels": {**one, "case": "fleet"}} for one in LABELS])
    assert ours.status_code == theirs.status_code == 200
    silence = {
        "matchers": [{"name": "job", "value": "n.t", "isRegex": True}],
        "startsAt": stamp(time.time() - 60),
        "endsAt": stamp(time.time() + 3600),
        "createdBy": "me",
        "comment": "fleet",
    }
    for answer in both.ask("POST", "/silences", silence):
        assert answer.status_code == 200
    both.until_same("/alerts/groups?filter=case=fleet", groups_without_ids)
    return both


def without_ids(alerts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Silences have ids of their own on each side; an Alertmanager names any one of several inhibiting alerts."""
    found = plain_alerts(alerts)
    for one in found:
        one["status"]["silencedBy"] = len(one["status"]["silencedBy"])
        one["status"]["inhibitedBy"] = bool(one["status"]["inhibitedBy"])
    return found


def groups_without_ids(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**group, "alerts": without_ids(group["alerts"])} for group in groups]


def test_alerts_and_groups_are_the_same(fleet: Both) -> None:
    alerts = fleet.until_same("/alerts?filter=case=fleet", without_ids)
    known = {one["fingerprint"] for one in alerts}
    named = [one["status"]["inhibitedBy"] for one in fleet.ours.get("/alerts?filter=case=fleet").json()]
    assert known.issuperset({each for some in named for each in some})
    assert len(alerts) == len(LABELS)
    assert {one["status"]["state"] for one in alerts} == {"active", "suppressed"}
    assert any(one["status"]["inhibitedBy"] for one in alerts)
    groups = fleet.until_same("/alerts/groups?filter=case=fleet", groups_without_ids)
    assert len(groups) > 8
    assert {group["receiver"]["name"] for group in groups} == {"top", "db", "net"}


NAMES = st.sampled_from(["alertname", "job", "instance", "severity", "team", "x", "zz"])
VALUES = st.sampled_from(
    [
        "",
        "db",
        "a",
        "Down",
        "n.t",
        ".*",
        ".+",
        "a|b",
        "critical|",
        "[ab]",
        "c d",
        'q\\"uo\\\\te',
        "(?i)DOWN",
        "[",
    ]
)


@st.composite
def filters(draw: st.DrawFn) -> str:
    value = draw(VALUES)
    text = f'"{value}"' if draw(st.booleans()) or '"' in value or not value else value
    blank = draw(st.sampled_from(["", " "]))
    return f"{draw(NAMES)}{blank}{draw(st.sampled_from(['=', '!=', '=~', '!~']))}{blank}{text}"


FLAGS = st.sampled_from(["true", "false", "0", "1", "", "yes", "no", "True", "t"])


@BOUNDED
@given(
    st.lists(filters(), max_size=2),
    st.dictionaries(st.sampled_from(["active", "silenced", "inhibited", "unprocessed"]), FLAGS, max_size=2),
    st.sampled_from(["", "", "db", "d.*", "db|net", "nothing", "["]),
    st.booleans(),
)
def test_filters_find_the_same(
    fleet: Both, texts: list[str], flags: dict[str, str], receiver: str, of_groups: bool
) -> None:
    query = [("filter", "case=fleet"), *(("filter", text) for text in texts), *flags.items()]
    query += [("receiver", receiver)] if receiver else []
    path = f"/alerts{'/groups' if of_groups else ''}?{urlencode(query)}"
    ours, theirs = fleet.ask("GET", path)
    assert ours.status_code == theirs.status_code
    if theirs.status_code == 200:
        plain = groups_without_ids if of_groups else without_ids
        assert plain(ours.json()) == plain(theirs.json())


@pytest.mark.parametrize(
    "text",
    ["a", "", "{}", "a=b,", 'a="b"x', 'a="b",c="d"', "=b", "a==b", "a=~", "!a=b", "[", 'a="b', "a b=c"],
)
def test_a_filter_is_one_matcher(both: Both, text: str) -> None:
    for path in ("/alerts", "/silences", "/alerts/groups"):
        ours, theirs = both.ask("GET", f"{path}?{urlencode([('filter', text)])}")
        assert ours.status_code == theirs.status_code
        if theirs.status_code == 400 and theirs.text.startswith('"bad matcher'):
            assert ours.json() == theirs.json()


OFFSETS = st.sampled_from([None, -7200, -3600, -60, 60, 1800, 3600, 7200])


@BOUNDED
@given(st.lists(st.tuples(OFFSETS, OFFSETS), min_size=1, max_size=4))
def test_words_about_one_alert_become_the_same(
    both: Both, words: list[tuple[int | None, int | None]]
) -> None:
    case, base = f"merge{next(both.numbers)}", time.time()
    for starts, ends in words:
        alert: dict[str, Any] = {"labels": {"alertname": "Merged", "case": case}}
        if starts is not None:
            alert["startsAt"] = stamp(base + starts)
        if ends is not None:
            alert["endsAt"] = stamp(base + ends)
        ours, theirs = both.ask("POST", "/alerts", [alert])
        assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content)
        answers = both.ask("GET", f"/alerts?filter=case={case}")
        found = [[(one["startsAt"], one["endsAt"]) for one in answer.json()] for answer in answers]
        assert len(found[0]) == len(found[1]), words
        for mine, other in zip(*found, strict=True):
            for ours_at, theirs_at in zip(mine, other, strict=True):
                gap = datetime.fromisoformat(ours_at) - datetime.fromisoformat(theirs_at)
                assert abs(gap.total_seconds()) < NOW_TAKES, words


def silence(**changed: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "matchers": [{"name": "case", "value": "silences", "isRegex": False}],
        "startsAt": stamp(time.time()),
        "endsAt": stamp(time.time() + 600),
        "createdBy": "me",
        "comment": "c",
    }
    return {key: value for key, value in (whole | changed).items() if value is not ...}


def matcher(name: str = "case", value: str = "silences", **more: bool) -> list[dict[str, Any]]:
    return [{"name": name, "value": value, **({"isRegex": False} | more)}]


SILENCES_REFUSED: list[Any] = [
    b"",
    b"null",
    {},
    silence(comment=...),
    silence(createdBy=...),
    silence(matchers=...),
    silence(matchers=[]),
    silence(startsAt=...),
    silence(endsAt=...),
    silence(startsAt=..., comment=...),
    silence(matchers=[{"name": "a", "value": "b"}]),
    silence(matchers=[{"value": "b", "isRegex": False}]),
    silence(matchers=matcher(value="")),
    silence(matchers=matcher(value=".*", isRegex=True)),
    silence(matchers=matcher(name="")),
    silence(endsAt="2019-01-01T00:00:00Z"),
    silence(startsAt="2019-01-01T00:00:00Z", endsAt="2019-01-02T00:00:00Z"),
    silence(endsAt="0001-01-01T00:00:00Z"),
    silence(id="nothing"),
    silence(id="00000000-0000-0000-0000-000000000000"),
]
SILENCES_UNREADABLE: list[Any] = [
    b"{",
    [],
    silence(startsAt="x"),
    silence(comment=1),
    silence(matchers="a=b"),
    silence(matchers=[*matcher(), 1]),
    silence(matchers=[{"name": "a", "value": "b", "isRegex": "no"}]),
]


def test_silences_are_refused_in_the_same_words(both: Both) -> None:
    for body in SILENCES_REFUSED:
        ours, theirs = both.ask("POST", "/silences", body)
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json()), body
    for body in SILENCES_UNREADABLE:
        ours, theirs = both.ask("POST", "/silences", body)
        assert ours.status_code == theirs.status_code == ours.json()["code"] == 400, body
    ours, theirs = both.ask("POST", "/silences", silence(matchers=matcher(value="[", isRegex=True)))
    assert ours.status_code == theirs.status_code == 400
    prefix = "silence invalid: invalid label matcher 0: "
    assert ours.json().startswith(prefix)
    assert theirs.json().startswith(prefix)
    for method in ("GET", "DELETE"):
        ours, theirs = both.ask(method, "/silence/x")
        assert (ours.status_code, ours.json()) == (theirs.status_code, theirs.json())
    ours, theirs = both.ask("GET", "/silence/00000000-0000-0000-0000-000000000000")
    assert (ours.status_code, ours.content) == (theirs.status_code, theirs.content) == (404, b"")
    # Since version 0.26 an Alertmanager says 404 here too.
    ours, theirs = both.ask("DELETE", "/silence/00000000-0000-0000-0000-000000000000")
    assert (ours.status_code, theirs.status_code) == (404, 500)


def plain_silence(one: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in one.items() if key not in ("id", "updatedAt")}
    # An instant of the present is each side's own.
    return {**kept, "startsAt": one["startsAt"][:15], "endsAt": one["endsAt"][:15]}


def test_silences_live_the_same_lives(both: Both) -> None:
    def listed(*filters: str) -> list[dict[str, Any]]:
        query = urlencode([("filter", 'case="silences"'), *(("filter", each) for each in filters)])
        ours, theirs = both.ask("GET", f"/silences?{query}")
        assert [plain_silence(one) for one in ours.json()] == [plain_silence(one) for one in theirs.json()]
        found: list[dict[str, Any]] = ours.json()
        return found

    def put(body: Mapping[str, Any], ids: tuple[str, str] | None = None) -> tuple[str, str]:
        bodies = [dict(body) | ({"id": id_} if id_ else {}) for id_ in ids or ("", "")]
        ours = both.ours.post("/silences", json=bodies[0])
        theirs = both.theirs.post("/silences", json=bodies[1])
        assert ours.status_code == theirs.status_code == 200, (ours.text, theirs.text)
        assert ours.json().keys() == theirs.json().keys()
        return ours.json()["silenceID"], theirs.json()["silenceID"]

    start = time.time() - 3
    first = put(silence(startsAt=stamp(start)))
    put(silence(startsAt=stamp(time.time() + 300), comment="later", createdBy="you"))
    put(
        silence(
            matchers=matcher() + matcher("b", "x|y", isRegex=True, isEqual=False), endsAt=stamp(start + 900)
        )
    )
    put(silence(startsAt="0001-01-01T00:00:00Z", endsAt=stamp(start + 800), comment=""))
    assert [one["status"]["state"] for one in listed()] == ["active", "active", "active", "pending"]
    assert len(listed('b!~"x|y"')) == 1
    assert listed('b=~"x|y"') == []
    given_ = both.ours.get(f"/silence/{first[0]}").json(), both.theirs.get(f"/silence/{first[1]}").json()
    assert plain_silence(given_[0]) == plain_silence(given_[1])
    # An edit of comment and end keeps the id, one of the matchers does not.
    edit = silence(startsAt=given_[0]["startsAt"], comment="edited", endsAt=stamp(start + 1200))
    theirs_start = given_[1]["startsAt"]
    edited = (
        both.ours.post("/silences", json=edit | {"id": first[0]}).json()["silenceID"],
        both.theirs.post("/silences", json=edit | {"id": first[1], "startsAt": theirs_start}).json()[
            "silenceID"
        ],
    )
    assert edited == first
    other = put(silence(matchers=matcher() + matcher("c", "d"), endsAt=stamp(start + 1500)), first)
    assert other[0] != first[0]
    assert other[1] != first[1]
    states = [one["status"]["state"] for one in listed()]
    assert states == ["active", "active", "active", "pending", "expired"]
    for _ in "twice":
        for client, id_ in ((both.ours, other[0]), (both.theirs, other[1])):
            answer = client.delete(f"/silence/{id_}")
            assert (answer.status_code, answer.content) == (200, b"")
    assert [one["status"]["state"] for one in listed()][-2:] == ["expired", "expired"]


def test_receivers_and_status_have_the_same_shape(both: Both) -> None:
    ours, theirs = both.ask("GET", "/receivers")
    assert ours.json() == theirs.json()
    ours, theirs = both.ask("GET", "/status")
    mine, other = ours.json(), theirs.json()
    assert mine.keys() == other.keys()
    assert mine["versionInfo"].keys() == other["versionInfo"].keys()
    assert mine["cluster"] == other["cluster"]
    datetime.fromisoformat(mine["uptime"])
