"""Templates expand as Prometheus expands them: promtool judges our results."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from sentinel.rules.template import Struct, parse_template
from tests.servers.debian import environment, program

VARIABLES = ("$labels", "$value", "$externalLabels", "$externalURL")
LABELS = {"instance": "web1.example.org:9100", "job": "linux", "path": "/a b/ü", "empty": "", "n": "17"}

URL = "https://sentinel.example.org:8443/way/in"

VALUES = (
    0.0,
    1.0,
    -1.5,
    0.001,
    1e-7,
    12.3456789,
    1234.5,
    86399.0,
    90061.5,
    123456789.0,
    -987654.321,
    1e6,
    1.7e9,
    9e9,
    1 / 3,
)

EVERY_VALUE = (
    "{{ $value }}",
    "{{ .Value | humanize }}",
    "{{ $value | humanize1024 }}",
    "{{ $value | humanizeDuration }}",
    "{{ $value | humanizePercentage }}",
    "{{ humanizeTimestamp $value }}",
    '{{ printf "%.2f|%8.1f|%-8.1f|%08.3f|%+.1f|% .1f" $value $value $value $value $value $value }}',
    '{{ printf "%e|%g|%.3g|%v|%E|%G|%.0f" $value $value $value $value $value $value $value }}',
    '{{ printf "%d|%s|%t|%q" $value $value $value $value }}',
    "{{ if gt $value 80.0 }}high{{ else if ge $value 1.0 }}middle{{ else }}low{{ end }}",
)

ONCE = (
    "plain text",
    "{{ $labels.instance }} {{ .Labels.job }} {{ $labels.missing }}|{{ index $labels `path` }}",
    "{{ $labels.instance | stripPort }} {{ stripPort `[::1]:9100` }} {{ stripPort `bare` }}",
    "{{ $labels.job | title }} {{ title `hello big-world x_y` }} {{ toUpper `aß` }} {{ toLower `ÄB` }}",
    '{{ reReplaceAll "(.*):(.*)" "$2 on ${1}" $labels.instance }} {{ reReplaceAll "e" "[$0]$$" "eye" }}',
    '{{ match "web[0-9]+" $labels.instance }} {{ match "^x" $labels.instance }}',
    "{{ if $labels.missing }}yes{{ else }}no{{ end }}{{ with $labels.job }} {{ . }}{{ end }}",
    "{{ with $labels.missing }}some{{ else }}none{{ end }}",
    "a {{- /* trimmed */ -}} b   {{- 1 }}  {{ 2 -}}   c",
    "{{ $x := $labels.job }}{{ $x }}{{ $x = `other` }} {{ $x }}",
    "{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $y := 3 }}{{ $y }}{{ end }}{{ $x }}",
    "{{ len $labels.path }} {{ len $labels }}",
    "{{ and true 0 }} {{ and 1 `` }} {{ or `` `b` }} {{ or 0 false }} {{ not true }} {{ not `` }}",
    "{{ eq 1 1 }} {{ eq `a` `b` `a` }} {{ ne 1 2 }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt 1.5 1.0 }} {{ ge `b` `a` }}",
    "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
    "{{ range query `probe` | sortByLabel `n` }}{{ .Labels.n }}:{{ .Value }} {{ end }}",
    "{{ range $i, $s := query `sort_desc(probe)` }}{{ $i }}-{{ $s | value }} {{ end }}",
    "{{ range query `nothing` }}x{{ else }}empty{{ end }}",
    "{{ range query `sort(probe)` }}{{ if gt .Value 1.0 }}{{ break }}{{ end }}{{ .Value }}{{ end }}",
    "{{ range query `sort(probe)` }}{{ if eq .Value 1.0 }}{{ continue }}{{ end }}{{ .Value }}{{ end }}",
    "{{ query `sort_desc(probe)` | first | label `n` }} {{ (query `scalar(probe{n='1'})` | first).Value }}",
    "{{ printf `%s|%10s|%-10s|%.3s` $labels.job $labels.job $labels.job $labels.job }}",
    "{{ printf `%q|%x|%X|%6q` $labels.path `hi` `hi` `a` }}",
    "{{ printf `%d|%5d|%-5d|%05d|%x|%X|%o|%b|%c|%+d` 42 42 42 42 255 255 8 5 65 7 }}",
    "{{ printf `%t|%v|%d%%` true false 5 }} {{ printf `%*d` 5 42 }}",
    "{{ printf `%d %s` 1 }} {{ printf `none` 1 }} {{ printf `%!` }} {{ printf `%z` 1 }}",
    "{{ print 1 2 `a` `b` 3 4 }} {{ println `x` 1 }}",
    '{{ print true }} {{ 1.5 }} {{ 1e3 }} {{ 0x10 }} {{ -3 }} {{ \'a\' }} {{ `raw` }} {{ "q\\t\\"\\u00e9" }}',
    "{{ urlquery `a b&c=d/é` }}",
    "{{ $labels }}",
    "{{ graphLink `up{a='b'} > 1` }} {{ tableLink `x y` }} {{ safeHtml `<b>` }}",
    """{{ html `<a href="x">'&` }} {{ `<` | html }} {{ slice `abcdef` 1 3 }} {{ slice `abc` 1 }}""",
    "{{ with args 1 `a` $labels.job }}{{ .arg0 }}{{ .arg1 }}{{ .arg2 }}{{ end }}",
    "{{ $externalURL }} {{ .ExternalURL }}",
    "{{ humanize $labels.n }} {{ humanize1024 `2048` }} {{ humanizePercentage `0.5` }} {{ humanizeDuration `90` }}",
    "{{ $externalLabels.site }} {{ .ExternalLabels.site }}{{ $externalLabels.missing }}",
    "{{ ($labels.job) }} {{ (printf `%s` $labels.job) | toUpper }} {{ ((1)) }}",
    "{{ $labels.job | printf `%s-%s` `x` | toUpper | printf `<%s>` }}",
    "{{ index `abc` 1 }} {{ $.Labels.job }} {{ with 5 }}{{ $.Value }}{{ . }}{{ end }}",
    "{{/* only a comment */}}{{ `{{` }}",
)


def expand(text: str, value: float, name: str) -> str:
    labels = {"__name__": name} | {label: written for label, written in LABELS.items() if written}
    external = {"site": "hq"}
    data = Struct({"Labels": labels, "Value": value, "ExternalLabels": external, "ExternalURL": URL})
    variables = dict(zip(VARIABLES, (labels, value, external, URL), strict=True))
    return parse_template(text, VARIABLES).expand(data, variables, query)


def query(text: str) -> list[Struct]:
    samples = {
        "probe": [("2", 2.0), ("1", 1.0)],
        "sort_desc(probe)": [("2", 2.0), ("1", 1.0)],
        "sort(probe)": [("1", 1.0), ("2", 2.0)],
        "scalar(probe{n='1'})": [("", 1.0)],
        "nothing": [],
    }[text]
    return [Struct({"Labels": {"n": n} if n else {}, "Value": value}) for n, value in samples]


def test_promtool_expands_the_same_texts(tmp_path: Path) -> None:
    cases = [(text, value) for text in EVERY_VALUE for value in VALUES] + [(text, 85.0) for text in ONCE]
    pairs = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in LABELS.items())
    rules, tests = [], []
    series = [
        {"series": "probe{n='2'}", "values": "2x1"},
        {"series": "probe{n='1'}", "values": "1x1"},
    ]
    for number, (text, value) in enumerate(cases):
        rules.append({"alert": f"A{number}", "expr": f"case{number}", "annotations": {"text": text}})
        series.append({"series": f"case{number}{{{pairs}}}", "values": f"{value!r}"})
        labels = {name: written for name, written in LABELS.items() if written}
        expected = {"exp_labels": labels, "exp_annotations": {"text": expand(text, value, f"case{number}")}}
        tests.append({"eval_time": "0s", "alertname": f"A{number}", "exp_alerts": [expected]})
    rules_file, test_file = tmp_path / "rules.yml", tmp_path / "tests.yml"
    rules_file.write_text(json.dumps({"groups": [{"name": "g", "rules": rules}]}))
    test = {
        "interval": "1m",
        "input_series": series,
        "alert_rule_test": tests,
        "external_labels": {"site": "hq"},
        "external_url": URL,
    }
    test_file.write_text(json.dumps({"rule_files": [str(rules_file)], "tests": [test]}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(test_file)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
