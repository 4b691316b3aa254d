"""What clients do to the query API over real sockets: Grafana's own sequence, and those who mean no good."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from sentinel.model.batch import Batch, Layout, Reading, Source
from sentinel.model.labels import Labels
from sentinel.promql import Engine
from sentinel.promql.service import WORKERS
from sentinel.series.head import Head
from tests.integration.query_api import served

START = 1_700_000_000.0
POLLS = 200
END = START + 15 * POLLS
SERIES = 400


@pytest.fixture(scope="module")
def head() -> Head:
    head, rng = Head(), np.random.default_rng(2)
    names = ["a_total", "b", "http.requests", "größe"]
    layout = Layout.of(
        [Labels({"__name__": names[n % 4], "row": str(n), "dotted.label": "x y"}) for n in range(SERIES)]
    )
    sources = [Source(f"h{n}", "node", Labels(instance=f"h{n}", job="node"), 15.0) for n in range(10)]
    values = np.zeros((10, SERIES))
    for poll in range(POLLS):
        values += rng.uniform(0, 10, values.shape)
        for number, source in enumerate(sources):
            at = START + 15 * poll + 0.3 + 0.01 * number
            head.append([Batch(source, at, Reading(layout, values[number].copy()), True, 0.1)])
    return head


@pytest.fixture(scope="module")
def engine(head: Head) -> Engine:
    return Engine(head)


@pytest.fixture(scope="module")
def url(head: Head, engine: Engine) -> Iterator[str]:
    with served(head, engine) as found:
        yield found


def ask(url: str, path: str, method: str = "GET", **given: Any) -> tuple[int, Any]:
    text = urllib.parse.urlencode(given, doseq=True)
    body = text.encode() if method == "POST" else None
    whole = f"{url}/api/v1/{path}" + (f"?{text}" if text and body is None else "")
    request = urllib.request.Request(whole, body, {"Accept-Encoding": "gzip"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def good(url: str, path: str, method: str = "GET", **given: Any) -> Any:
    status, body = ask(url, path, method, **given)
    assert (status, body["status"]) == (200, "success"), body
    return body["data"]


class TestGrafana:
    """The requests of its Prometheus data source: "save and test", the query builder, a dashboard, an alert list.

    Source: pkg/promlib and packages/grafana-prometheus in https://github.com/grafana/grafana.
    """

    def test_save_and_test(self, url: str) -> None:
        assert good(url, "query", "POST", query="1+1", time="4")["result"] == [4, "2"]
        facts = good(url, "status/buildinfo")
        assert tuple(map(int, facts["version"].split("."))) >= (2, 24, 0)
        assert "features" not in facts

    def test_the_builder(self, url: str) -> None:
        span = {"start": f"{START:.0f}", "end": f"{END:.0f}"}
        assert {"a_total", "b"} <= set(good(url, "label/__name__/values", **span, limit="40000"))
        assert "instance" in good(url, "labels", "POST", **span, limit="40000")
        match = {"match[]": '{__name__="a_total",instance="h1"}'}
        assert good(url, "label/row/values", **span, **match)[:2] == ["0", "100"]
        assert set(good(url, "labels", **span, **match)) == {
            "__name__",
            "dotted.label",
            "instance",
            "job",
            "row",
        }
        assert len(good(url, "series", "POST", **span, **match)) == SERIES // 4
        assert isinstance(good(url, "metadata", limit="5000"), dict)
        assert good(url, "query_exemplars", "POST", query="a_total", **span) == []

    def test_a_dashboard(self, url: str) -> None:
        rates = "sum(rate(a_total[1m0s]))"
        panel = f"histogram_quantile(0.95, {rates} by (le)) or {rates} by (instance)"
        given = {"start": f"{END - 1800:.3f}", "end": f"{END:.3f}", "step": "15"}
        data = good(url, "query_range", "POST", query=panel, **given)
        assert data["resultType"] == "matrix"
        assert {len(series["values"]) for series in data["result"]} == {121}
        data = good(url, "query", "POST", query="topk(3, b)", time=f"{END:.3f}")
        assert len(data["result"]) == 3
        variable = good(url, "query", query='label_replace(b, "x", "$1", "row", "(1.*)")', time=f"{END:.3f}")
        assert len(variable["result"]) == 10 * SERIES // 4

    def test_the_alert_list(self, url: str) -> None:
        assert "groups" in good(url, "rules")
        assert "alerts" in good(url, "alerts")


def test_what_is_said_beside_an_answer(url: str) -> None:
    for path, given in (
        ("query", {"time": str(END)}),
        ("query_range", {"start": str(END - 60), "end": str(END), "step": "15"}),
    ):
        _, body = ask(url, path, query="quantile(1.5, rate(b[5m]))", **given)
        assert body["warnings"] == [
            "PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"
        ]
        assert body["infos"] == [
            "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket:"
            ' "b" (1:20)'
        ]
        _, body = ask(url, path, query="rate(a_total[5m])", **given)
        assert body.keys() == {"status", "data"}


class TestNames:
    """Of any characters, as Prometheus 3 has them."""

    @pytest.mark.parametrize(
        "text",
        [
            '{"http.requests"}',
            '{"http.requests", "dotted.label"="x y"}',
            '{__name__="größe"}',
            'sum by ("dotted.label") ({"größe"})',
            'rate({"http.requests"}[5m])',
        ],
    )
    def test_in_queries(self, url: str, text: str) -> None:
        assert good(url, "query", query=text, time=str(END))["result"]
        assert good(url, "query_range", query=text, start=str(END - 60), end=str(END), step="15")["result"]

    def test_in_searches(self, url: str) -> None:
        assert len(good(url, "series", **{"match[]": '{"http.requests"}'})) == 10 * SERIES // 4
        assert good(url, f"label/{urllib.parse.quote('dotted.label')}/values") == ["x y"]
        assert "größe" in good(url, "label/__name__/values")


def _matching(selector: str, times: int) -> dict[str, Any]:
    return {"match[]": [selector] * times}


class TestHostile:
    @pytest.mark.parametrize(
        "text",
        [
            "(" * 10_000 + "1" + ")" * 10_000,
            "-" * 100_000 + "1",
            "+".join(["1"] * 5_000),
            "b" * 200_000,
            "\x00",
            "b[5m",
            "sum(" * 150 + "b" + ")" * 150,
        ],
    )
    def test_texts(self, url: str, text: str) -> None:
        began = time.monotonic()
        status, body = ask(url, "query", "POST", query=text)
        assert (status, body["errorType"]) == (400, "bad_data")
        assert len(body["error"]) < 2000
        assert time.monotonic() - began < 5

    def test_patterns_that_would_run_for_ever_elsewhere(self, url: str) -> None:
        began = time.monotonic()
        status, _ = ask(url, "query", query='{row=~"' + "(x+x+)+y|" * 300 + '"}')
        assert status in (200, 400)
        assert time.monotonic() - began < 5

    @pytest.mark.parametrize(
        "text",
        [
            "b * on () group_left b",
            "b * ignoring (row, instance) group_left b",
            "count_values('x', b) * on () group_right b",
            "max_over_time(max_over_time(max_over_time(b[1h:1s])[1h:1s])[1h:1s])",
            "quantile_over_time(0.5, {__name__!=''}[1h:1s])",
        ],
    )
    def test_much_work(self, url: str, text: str) -> None:
        given = {"start": str(END - 3000), "end": str(END), "step": "1", "timeout": "3s"}
        began = time.monotonic()
        status, body = ask(url, "query_range", query=text, **given)
        assert (status, body["errorType"]) in ((422, "execution"), (503, "timeout")), body
        assert time.monotonic() - began < 15

    def test_windows_of_centuries(self, url: str) -> None:
        for text in ("rate(b[30d])", "b offset 30d", "b @ 0", "max_over_time(b[1h] offset 20d)"):
            good(url, "query", query=text, time=str(END))

    def test_too_many_steps_and_fields(self, url: str) -> None:
        assert ask(url, "query_range", query="b", start="0", end="1e9", step="1")[0] == 400
        assert ask(url, "query", "POST", **{f"p{n}": "x" for n in range(1000)})[0] == 400
        assert ask(url, "series", "GET", **_matching("b", 150))[0] == 200

    def test_others_are_answered_meanwhile(self, url: str) -> None:
        """Long queries fill the threads; the loop still answers small questions."""
        given = {"start": str(END - 3000), "end": str(END), "step": "1", "timeout": "4s"}
        long = "max_over_time(max_over_time(b[10m:1s])[10m:1s])"
        busy = [
            threading.Thread(target=ask, args=(url, "query_range"), kwargs={"query": long, **given})
            for _ in range(2 * WORKERS)
        ]
        for thread in busy:
            thread.start()
        waits = []
        while any(thread.is_alive() for thread in busy):
            began = time.monotonic()
            assert good(url, "query", query="sum(b)", time=str(END))["result"]
            waits.append(time.monotonic() - began)
        assert len(waits) > 5
        assert sorted(waits)[len(waits) // 2] < 0.25

    def test_who_goes_away_frees_the_thread(self, url: str) -> None:
        long = urllib.parse.quote("max_over_time(max_over_time(b[10m:1s])[10m:1s])")
        host, port = url.removeprefix("http://").split(":")
        for _ in range(3 * WORKERS):
            with socket.create_connection((host, int(port)), 10) as client:
                path = f"/api/v1/query_range?query={long}&start={END - 3000}&end={END}&step=1"
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                time.sleep(0.05)
        began = time.monotonic()
        good(url, "query_range", query="b", start=str(END - 600), end=str(END), step="15")
        assert time.monotonic() - began < 5

    def test_who_reads_slowly_holds_nobody_up(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        path = f"/api/v1/query_range?query=%7B__name__!%3D''%7D&start={END - 2000}&end={END}&step=15"
        slow = [socket.create_connection((host, int(port)), 10) for _ in range(4)]
        try:
            for client in slow:
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            for client in slow:
                assert client.recv(100).startswith(b"HTTP/1.1 200")
            began = time.monotonic()
            good(url, "query_range", query="b", start=str(END - 600), end=str(END), step="15")
            assert time.monotonic() - began < 5
            # And the rest comes whole to who reads on.
            with slow[0].makefile("rb") as rest:
                slow[0].settimeout(30)
                while rest.readline().strip():
                    pass
                body = b""
                while size := int(rest.readline(), 16):
                    body += rest.read(size)
                    rest.readline()
            assert len(json.loads(body)["data"]["result"]) == 10 * (SERIES + 3)
        finally:
            for client in slow:
                client.close()
