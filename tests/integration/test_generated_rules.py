"""Rules, series and expectations made up at random: promtool and Sentinel give the same verdict on each."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentinel.rules.unittest import run_unit_tests
from tests.servers.debian import environment, program

# Nothing is sampled at the very start of a window or of the lookback: promtool 2.42 counts that in, Prometheus 3
# does not. So samples come every 61 s, the first after 61 s, and windows are no whole minutes.
EXPRESSIONS = (
    "x > {n}",
    "sum by (a) (x) > {n}",
    "max without (b) (x) >= {n} and on (a) count_over_time(x[150s]) > 1",
    "changes(x[210s]) > 0",
    "x unless on (a, b) y == {n}",
    "max_over_time(x[90s]) - min_over_time(x[90s]) > {n}",
    "x * on (a, b) group_left () y > bool {n}",
    "topk(9, x) > 0",  # of fewer, Prometheus' heap decides which of equal values stay
    "x offset 90s > {n} or y > {n}",
    "absent(x{{a=\"1\"}}) or absent(z{{b=\"2\"}})",
    "max_over_time(sum by (a) (x)[150s:1m]) > {n}",
    "label_replace(x, \"c\", \"$1-{n}\", \"a\", \"(.*)\") > {n}",
    "recorded:x > {n}",
    "ALERTS{{alertstate=\"pending\"}}",
    "quantile(0.5, x) > {n}",
    "round(avg(x), 0.5) > {n}",
)  # fmt: skip
TEMPLATES = (
    "{{ $value }}",
    "{{ $labels.a | toUpper }}: {{ $value | humanize }}",
    '{{ printf "%.2f" $value }}{{ if gt $value 3.0 }} high{{ end }}',
    "{{ range query \"sum(x)\" }}{{ .Value }}{{ end }}",
    '{{ with $labels.b }}b {{ . }}{{ else }}none{{ end }}{{ $externalLabels.site }}',
    "{{ humanizeDuration $value }} {{ humanizePercentage $value }} {{ humanize1024 $value }}",
    '{{ reReplaceAll "(\\\\d)" "<$1>" $labels.a }} {{ match "[0-9]" $labels.a }} {{ title "ab cd" }}',
)  # fmt: skip

values = st.lists(
    st.one_of(
        st.integers(-3, 9).map(str), st.sampled_from(["_", "stale", "NaN", "Inf", "1+1x2", "4-1x2", "_x2"])
    ),
    min_size=3,
    max_size=9,
).map(lambda words: " ".join(["_", *words]))
series = st.dictionaries(
    st.tuples(st.sampled_from("xy"), st.sampled_from("12"), st.sampled_from("12")),
    values,
    min_size=1,
    max_size=6,
)
expressions = st.builds(lambda text, n: text.format(n=n), st.sampled_from(EXPRESSIONS), st.integers(-1, 6))
durations = st.sampled_from(["0s", "1m", "2m", "90s"])
alerts = st.fixed_dictionaries(
    {
        "expr": expressions,
        "for": durations,
        "keep_firing_for": durations,
        "labels": st.fixed_dictionaries({"severity": st.sampled_from(["info", "{{ $labels.b }}"])}),
        "annotations": st.fixed_dictionaries({"text": st.sampled_from(TEMPLATES)}),
    }
)


def passes(file: Path) -> tuple[bool, str]:
    done = subprocess.run(
        [program("promtool"), "test", "rules", file.name],
        cwd=file.parent,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0, done.stdout + done.stderr


def pairs_of(text: str) -> dict[str, str]:
    """Of labels or annotations as they are shown; an empty annotation is one of them."""
    return {name: json.loads(value) for name, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*")', text)}


def found_by(file: Path) -> list[tuple[str, list[dict[str, str]]]]:
    """What Sentinel's run shows that the file does not expect: head line, and labels with annotations."""
    (result,) = run_unit_tests([file])
    found = []
    for difference in result.differences:
        head, *lines = difference.split("\n")
        texts = [line.partition(": ")[2] if "expected: " in line else line.strip() for line in lines]
        shown = [text.removeprefix("annotations ") for text in texts]
        found.append((head, [pairs_of(text) for text in shown]))
    return found


def write(folder: Path, rules: list[dict[str, Any]], test: dict[str, Any]) -> Path:
    groups = [{"name": "g", "rules": rules}]
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    file = folder / "tests.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [test]})
    )
    return file


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(series=series, one=alerts, two=alerts)
def test_alerts_of_generated_rules_are_the_same(
    series: dict[tuple[str, str, str], str], one: dict[str, Any], two: dict[str, Any]
) -> None:
    recorded = {"record": "recorded:x", "expr": "sum by (a, b) (x)"}
    rules = [recorded, {"alert": "One", **one}, {"alert": "Two", **two}]
    checks = [{"eval_time": f"{at}m", "alertname": name} for at in range(0, 12, 3) for name in ("One", "Two")]
    test: dict[str, Any] = {
        "name": "generated",
        "interval": "61s",
        "external_labels": {"site": "hq"},
        "input_series": [
            {"series": f'{name}{{a="{a}", b="{b}"}}', "values": text} for (name, a, b), text in series.items()
        ],
        "alert_rule_test": checks,
    }
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        file = write(folder, rules, test)
        by_head = dict(found_by(file)) if not run_unit_tests([file])[0].passed else {}
        if any(not head.startswith("alert ") for head in by_head):
            # A rule failed on these samples: then it fails in promtool too.
            assert not passes(file)[0]
            return
        for check in checks:
            shown = by_head.get(
                f"alert {check['alertname']} at {check['eval_time']}".replace(" 0m", " 0s"), []
            )
            check["exp_alerts"] = [
                {
                    "exp_labels": {key: value for key, value in labels.items() if key != "alertname"},
                    "exp_annotations": annotations,
                }
                for labels, annotations in zip(shown[::2], shown[1::2], strict=True)
            ]  # type: ignore[assignment]
        file = write(folder, rules, test)
        assert run_unit_tests([file])[0].passed
        verdict, said = passes(file)
        assert verdict, said + json.dumps(rules) + json.dumps(test)
        if any(check["exp_alerts"] for check in checks):
            next(check for check in checks if check["exp_alerts"])["exp_alerts"] = []  # type: ignore[assignment]
            file = write(folder, rules, test)
            assert not run_unit_tests([file])[0].passed
            assert not passes(file)[0]
