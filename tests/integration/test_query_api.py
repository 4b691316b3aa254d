"""The same requests to Sentinel and to a real Prometheus with the same samples give the same JSON.

Debian's Prometheus is 2.42 and Sentinel answers as Prometheus 3 does. Where the two versions differ, the
difference is a test of its own below with its reason; everything else is the same to 1e-9. Neither samples nor
steps of subqueries stand on the edge of a window, as 3 leaves the left edge out and 2 does not, and no counter is
near zero, where rates are judged differently since 2.52.
"""

from __future__ import annotations

import json
import math
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.query_api import prometheus, served
from tests.servers.debian import environment, program
from tests.unit.promql.test_evaluation import EXPRESSIONS, START, Fleet, fleet

END = START + 1800.5
NEW = ("anchored", "smoothed", "fill(")
"""Words of Prometheus 3's language that 2.42 does not know."""

LOSES_SAMPLES = "predict_linear(y[5m] @ end(), 600)"

MORE = (
    "up",
    "up == 0",
    'x{instance=~"h[12]"}',
    'x{instance!~"h[12]",row!="0"}',
    '{__name__="y"}',
    'x{nothing=""}',
    'x{row=~".+",odd="1"}',
    "x % 7",
    "x ^ 2",
    "x atan2 y",
    "y == bool 10",
    "10 < bool 5",
    "x * on (instance) group_left (job) count by (instance, job) (y)",
    "x and on (instance) y > 25",
    "y or x",
    "sum(x)",
    "sum without (instance) (x)",
    "count by (job, odd) (x)",
    "stddev by (instance) (y)",
    "stdvar(y)",
    "min(x)",
    "max by (row) (x)",
    "group by (instance) (x)",
    "bottomk by (instance) (1, x)",
    "quantile by (instance) (0.5, x)",
    "abs(-x)",
    "ceil(x / 3)",
    "round(x, 0.5)",
    "clamp(y, 5, 10)",
    "clamp_min(y, 15)",
    "sgn(y - 15)",
    "sqrt(x)",
    "ln(x)",
    "exp(y)",
    "exp(-y * 5)",
    "exp(y * 10)",
    "sin(x)",
    "deg(y)",
    "time()",
    "pi()",
    "hour()",
    "minute(vector(1e9))",
    "day_of_week(x * 1e6)",
    "days_in_month()",
    "year(vector(0))",
    "sort(y)",
    "sort_desc(y)",
    'label_join(y, "both", "-", "instance", "row")',
    "absent(nothing{a='b'})",
    "absent_over_time(nothing[5m])",
    "present_over_time(gone[20m])",
    "min_over_time(y[5m])",
    "sum_over_time(y[3m])",
    "stdvar_over_time(y[3m])",
    "quantile_over_time(0.75, y[4m])",
    "count_over_time(y[5m:30s])",
    "increase(x[10m])",
    "rate(x[5m:20s])",
    "delta(y[4m])",
    "resets(x[20m])",
    "sum(rate(x[5m])) by (job) / count(y)",
    "histogram_quantile(0.5, h_bucket)",
    "histogram_quantile(0.99, rate(h_bucket[5m]))",
    "x offset -1m",
    "x @ start()",
    "rate(x[2m] @ 1700001000)",
    "-1 ^ 2",
    "1e-10 * y",
    "1e30 * y",
    "y / 0",
    "0 / (y - y)",
    "1 > bool NaN",
    "vector(1) > 2",
    "scalar(sum(y)) + 1",
    "nothing / nothing",
    "max_over_time(sum(y)[10m:1m])",
    "(x)",
    "+x",
    "sum(count_values('v', y)) by (v)",
)
INSTANT = (*EXPRESSIONS, *MORE, "x[1m]", "gone[30m]", "rate(x[1m])[5m:1m]", '"text"', "1.5")
REFUSED = (
    "",
    "up ++",
    "x{",
    "sum(",
    "x[5m",
    "rate(x)",
    "foo(x)",
    "x offset",
    "1 and 2",
    "sum by (a) 5",
    'x{a=~"("}',
    "topk(x)",
    "{}",
    '{a=""}',
    "rate(x[5m)",
    "x and 1",
    "-'text'",
    "x[5m] offset 5m + 1",
    "1 == 2",
    "a b",
)
FAILING = (
    "x * on (job) y",
    "y + on () x",
    "x * on (instance) group_left y",
    'label_replace(y, "row", "1", "row", ".*")',
)


@dataclass(frozen=True)
class Both:
    ours: str
    theirs: str

    def same(self, path: str, *, method: str = "GET", **given: Any) -> Any:
        """Ask both, compare, and give our answer."""
        ours, theirs = (ask(base, path, method, given) for base in (self.ours, self.theirs))
        for kind in ("warnings", "infos"):
            # PromQL's own came with 2.48.
            said = ours[1].pop(kind, [])
            assert all(text.startswith("PromQL ") for text in said)
        assert ours[0] == theirs[0], (ours, theirs)
        compare(ours[1], theirs[1], path)
        return ours[1]


def ask(base: str, path: str, method: str, given: dict[str, Any]) -> tuple[int, Any]:
    text = urllib.parse.urlencode(given, doseq=True)
    url = f"{base}/api/v1/{path}"
    body = None
    if method == "POST":
        body = text.encode()
    elif text:
        url += "?" + text
    request = urllib.request.Request(url, body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def compare(ours: Any, theirs: Any, place: str) -> None:
    """The same structure and the same numbers; lists of series in any order."""
    if isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), place
        for key in theirs:
            compare(ours[key], theirs[key], f"{place}.{key}")
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs), (place, ours, theirs)
        if theirs and isinstance(theirs[0], dict) and "metric" in theirs[0]:
            ours, theirs = (
                sorted(one, key=lambda item: json.dumps(item["metric"], sort_keys=True))
                for one in (ours, theirs)
            )
        for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            compare(a, b, f"{place}[{number}]")
    elif ours != theirs:
        assert is_close(ours, theirs), (place, ours, theirs)


def is_close(ours: Any, theirs: Any) -> bool:
    try:
        return math.isclose(float(ours), float(theirs), rel_tol=1e-9, abs_tol=1e-12)
    except (TypeError, ValueError):
        return False


@pytest.fixture(scope="module")
def data() -> Fleet:
    return fleet(base=1e6)


@pytest.fixture(scope="module")
def both(data: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), data.shelf) as store, served(data.head) as ours:
        yield Both(ours, store.base)


@pytest.mark.parametrize("text", [text for text in INSTANT if not any(word in text for word in NEW)])
def test_instant_queries(both: Both, text: str) -> None:
    for at in (END, END - 901, START + 30):
        both.same("query", query=text, time=str(at))


@pytest.mark.parametrize(
    "text",
    [
        text
        for text in (*EXPRESSIONS, *MORE)
        if not any(word in text for word in NEW) and text != LOSES_SAMPLES
    ],
)
def test_range_queries(both: Both, text: str) -> None:
    both.same("query_range", query=text, start=str(END - 1200), end=str(END), step="30")


@pytest.mark.parametrize("text", ["x", "sum by (job) (rate(x[2m]))", "gone", "1"])
@pytest.mark.parametrize(
    ("start", "end", "step"), [(0, 3000, "97"), (-600, 30, "5s"), (1790, 1790, "1m"), (100, 4000, "1h")]
)
def test_ranges_of_all_kinds(both: Both, text: str, start: float, end: float, step: str) -> None:
    both.same("query_range", query=text, start=str(START + start), end=str(START + end), step=step)


def test_sorted_results_keep_their_order(both: Both) -> None:
    for text in ("sort(y)", "sort_desc(y)"):
        values = [
            [
                item["value"][1]
                for item in ask(base, "query", "GET", {"query": text, "time": str(END)})[1]["data"]["result"]
            ]
            for base in (both.ours, both.theirs)
        ]
        assert values[0] == values[1]


def test_a_matrix_comes_sorted(both: Both) -> None:
    given = {"query": '{__name__=~"x|y|up"}', "start": str(END - 60), "end": str(END), "step": "60"}
    orders = [
        [item["metric"] for item in ask(base, "query_range", "GET", given)[1]["data"]["result"]]
        for base in (both.ours, both.theirs)
    ]
    assert orders[0] == orders[1]


@pytest.mark.parametrize(
    "time",
    [str(END), "1700001800.123000", "2023-11-14T22:43:20Z", "2023-11-15T06:43:20.25+08:00", "1.70000180e9"],
)
def test_forms_of_time(both: Both, time: str) -> None:
    both.same("query", query="x", time=time)
    both.same("query", query="time()", time=time)


def test_forms(both: Both) -> None:
    both.same("query", method="POST", query="y > 3", time=str(END))
    both.same("query_range", method="POST", query="y", start=str(END - 60), end=str(END), step="15")
    both.same("query", query="y", time=str(END), timeout="30s")


class TestErrors:
    @pytest.mark.parametrize("text", REFUSED)
    def test_expressions(self, both: Both, text: str) -> None:
        """The place and the wording of a parse error are ours; status, kind and what it is about are theirs."""
        for path, more in (("query", {}), ("query_range", {"start": "0", "end": "9", "step": "1"})):
            ours, theirs = (
                ask(base, path, "GET", {"query": text, **more}) for base in (both.ours, both.theirs)
            )
            assert ours[0] == theirs[0] == 400, (ours, theirs)
            assert ours[1].keys() == theirs[1].keys()
            assert ours[1]["errorType"] == theirs[1]["errorType"] == "bad_data"
            assert ours[1]["error"].startswith('invalid parameter "query": ')
            assert "parse error: " in ours[1]["error"]

    @pytest.mark.parametrize("text", FAILING)
    def test_evaluation(self, both: Both, text: str) -> None:
        for path, more in (
            ("query", {"time": str(END)}),
            ("query_range", {"start": str(END - 60), "end": str(END), "step": "15"}),
        ):
            ours, theirs = (
                ask(base, path, "GET", {"query": text, **more}) for base in (both.ours, both.theirs)
            )
            assert ours[0] == theirs[0] == 422, (ours, theirs)
            assert ours[1]["errorType"] == theirs[1]["errorType"] == "execution"
            # Prometheus names the series as well.
            assert (
                ours[1]["error"].split(" on ")[0].split(";")[0][:25]
                == theirs[1]["error"].split(" on ")[0][:25]
            )

    @pytest.mark.parametrize(
        ("path", "given"),
        [
            ("query", {"query": "up", "time": "soon"}),
            ("query", {"query": "up", "time": "2023-11-14"}),
            ("query", {"query": "up", "timeout": "long"}),
            ("query_range", {"query": "up", "start": "1", "end": "2"}),
            ("query_range", {"query": "up", "start": "x", "end": "2", "step": "1"}),
            ("query_range", {"query": "up", "start": "1", "step": "1"}),
            ("query_range", {"query": "up", "start": "3", "end": "2", "step": "1"}),
            ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}),
            ("query_range", {"query": "up", "start": "1", "end": "2", "step": "-1"}),
            ("query_range", {"query": "up", "start": "1", "end": "2", "step": "1q"}),
            ("query_range", {"query": "up", "start": "1", "end": "11002", "step": "1"}),
            ("series", {}),
            ("series", {"match[]": "up", "start": "x"}),
            ("labels", {"end": "x"}),
            ("label/x/values", {"start": "x"}),
        ],
    )
    def test_parameters(self, both: Both, path: str, given: dict[str, str]) -> None:
        answer = both.same(path, **given)
        assert answer["errorType"] == "bad_data"

    def test_eleven_thousand_and_one_points_are_allowed(self, both: Both) -> None:
        given = {"query": "vector(1)", "start": "1", "end": "11001", "step": "1"}
        answer = both.same("query_range", **given)
        assert len(answer["data"]["result"][0]["values"]) == 11_001

    @pytest.mark.parametrize(
        ("path", "method"), [("query", "DELETE"), ("series", "PUT"), ("labels", "PATCH")]
    )
    def test_methods(self, both: Both, path: str, method: str) -> None:
        """Sentinel asks for a token first: no method but GET and these POSTs is for strangers."""
        request = urllib.request.Request(f"{both.ours}/api/v1/{path}", method=method)
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(request, timeout=10)
        assert raised.value.code in (401, 405)

    def test_unknown_paths(self, both: Both) -> None:
        status, body = ask(both.ours, "nonsense", "GET", {})
        assert (status, body["errorType"]) == (404, "not_found")


class TestSeries:
    @pytest.mark.parametrize(
        "given",
        [
            {"match[]": "x"},
            {"match[]": ["x", "y", 'x{row="1"}']},
            {"match[]": '{__name__=~"up|gone"}'},
            {"match[]": 'nothing{a="b"}'},
            {"match[]": "x", "start": str(START), "end": str(END)},
            {"match[]": "up", "start": "2023-11-14T22:13:20Z"},
        ],
    )
    def test_series(self, both: Both, given: dict[str, Any]) -> None:
        both.same("series", **given)
        both.same("series", method="POST", **given)

    def test_labels(self, both: Both) -> None:
        both.same("labels")
        both.same("labels", method="POST", **{"match[]": "y"})
        both.same("labels", **_matching("h_bucket", "up"))
        both.same("labels", **{"match[]": "nothing"})

    @pytest.mark.parametrize("name", ["__name__", "instance", "row", "le", "nothing"])
    def test_values(self, both: Both, name: str) -> None:
        both.same(f"label/{name}/values")
        both.same(f"label/{name}/values", **{"match[]": "x"})
        both.same(f"label/{name}/values", **_matching('y{instance="h1"}', "up"))

    def test_times_before_and_after_everything(self, both: Both) -> None:
        for start, end in ((0, 1000), (END + 1e7, END + 2e7)):
            times = {"start": str(start), "end": str(end)}
            both.same("series", **{"match[]": "x", **times})
            both.same("labels", **{"match[]": "x", **times})


def _matching(*selectors: str) -> dict[str, Any]:
    return {"match[]": list(selectors)}


class TestVersions:
    """Where Prometheus 3, and with it Sentinel, differs from Debian's 2.42."""

    def test_ranges_are_open_on_the_left(self, both: Both, data: Fleet) -> None:
        """3.0: "range selectors and lookback are now left-open": a sample on the left edge no longer counts."""
        labels, points = next(
            (labels, points) for labels, points in data.shelf.points.items() if labels.name == "up"
        )
        first, last = points[-11][0], points[-1][0]
        text = f'count_over_time(up{{instance="{labels["instance"]}"}}[{round((last - first) * 1000)}ms])'
        ours, theirs = (
            ask(base, "query", "GET", {"query": text, "time": f"{last:.3f}"})[1]["data"]["result"][0][
                "value"
            ][1]
            for base in (both.ours, both.theirs)
        )
        assert int(theirs) == int(ours) + 1

    def test_a_fixed_window_keeps_its_samples_over_a_range(self, both: Both) -> None:
        """2.42 loses them from step to step in functions that depend on the step's own time: only the first step is
        right there, as instant queries show."""
        given = {"query": LOSES_SAMPLES, "start": str(END - 300), "end": str(END), "step": "30"}
        ours, theirs = (
            ask(base, "query_range", "GET", given)[1]["data"]["result"] for base in (both.ours, both.theirs)
        )
        assert {len(series["values"]) for series in ours} == {11}
        assert all(len(series["values"]) < 11 for series in theirs)
        for a, b in zip(ours, theirs, strict=True):
            compare(a["values"][0], b["values"][0], "the first step")
        for number, at in enumerate(range(11)):
            given = {"query": LOSES_SAMPLES.replace("end()", str(END)), "time": str(END - 300 + 30 * at)}
            found = ask(both.theirs, "query", "GET", given)[1]["data"]["result"]
            by_labels = {str(sorted(one["metric"].items())): one["value"] for one in found}
            for series in ours:
                compare(series["values"][number], by_labels[str(sorted(series["metric"].items()))], str(at))

    def test_rates_of_young_counters(self, tmp_path: Path) -> None:
        """Since 2.52 a series is extended to where it would have been zero only within half an interval."""
        data = fleet(polls=20)
        with prometheus(tmp_path, data.shelf) as store, served(data.head) as ours:
            given = {
                "query": "increase(x[90s])",
                "start": str(START + 60.5),
                "end": str(data.end),
                "step": "5",
            }
            answers = [
                ask(base, "query_range", "GET", given)[1]["data"]["result"] for base in (ours, store.base)
            ]
        points = [[float(v) for one in found for _, v in one["values"]] for found in answers]
        assert len(points[0]) == len(points[1])
        different = [(a, b) for a, b in zip(*points, strict=True) if not is_close(a, b)]
        assert different
        assert all(a < b for a, b in different)

    def test_a_limit(self, both: Both) -> None:
        """`limit` came with 2.54 (metadata) and 3.0 (queries); 2.42 ignores it."""
        ours, theirs = (
            ask(base, "query", "GET", {"query": "x", "time": str(END), "limit": "3"})[1]
            for base in (both.ours, both.theirs)
        )
        assert len(ours["data"]["result"]) == 3 < len(theirs["data"]["result"])
        assert ours["warnings"] == ["results truncated due to limit"]

    def test_a_lookback(self, both: Both) -> None:
        """`lookback_delta` of a single query is newer than 2.42, which ignores it."""
        given = {"query": "count(up)", "time": str(END + 120), "lookback_delta": "1m"}
        ours, theirs = (
            ask(base, "query", "GET", given)[1]["data"]["result"] for base in (both.ours, both.theirs)
        )
        assert ours == []
        assert theirs

    @pytest.mark.parametrize("text", [text for text in EXPRESSIONS if any(word in text for word in NEW)])
    def test_newer_language(self, both: Both, text: str) -> None:
        assert ask(both.ours, "query", "GET", {"query": text, "time": str(END)})[0] == 200
        assert ask(both.theirs, "query", "GET", {"query": text, "time": str(END)})[0] == 400


class TestPromtool:
    @pytest.mark.parametrize(
        "command",
        [
            ["instant", "{}", "sum by (instance) (y)", f"--time={END}"],
            ["instant", "{}", "1 + 1", f"--time={END}"],
            ["instant", "{}", "x[30s]", f"--time={END}"],
            ["range", "{}", "sum(rate(x[2m]))", f"--start={END - 120}", f"--end={END}", "--step=30s"],
            ["series", "{}", "--match=x", f"--start={START}", f"--end={END}"],
            ["labels", "{}", "instance", f"--start={START}", f"--end={END}"],
            ["labels", "{}", "__name__", f"--start={START}", f"--end={END}"],
            ["instant", "{}", "x +", f"--time={END}"],
        ],
    )
    def test_it_prints_the_same(self, both: Both, command: list[str]) -> None:
        outputs = []
        for base in (both.ours, both.theirs):
            words = [word.replace("{}", base) for word in command]
            # Flags go before the server's address for Debian's promtool.
            flags = [word for word in words if word.startswith("--")]
            others = [word for word in words if not word.startswith("--")]
            done = subprocess.run(
                [program("promtool"), "query", others[0], *flags, *others[1:]],
                capture_output=True,
                text=True,
                env=environment(),
                check=False,
                timeout=60,
            )
            outputs.append(
                (done.returncode, sorted(done.stdout.splitlines()), done.stderr.count("parse error"))
            )
        assert outputs[0] == outputs[1]
        assert outputs[0][1] or outputs[0][0]
