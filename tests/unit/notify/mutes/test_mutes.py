"""What is muted, beside the plain reading of the same silences."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.config.matchers import Matcher, parse_matchers
from sentinel.model.labels import Labels
from sentinel.notify.mutes.drafts import silence_of
from sentinel.notify.mutes.index import literals_of
from sentinel.notify.mutes.mutes import Mutes
from sentinel.notify.mutes.silence import Draft, Kind, Silence
from tests.unit.notify.mutes.silences import NOW, silence

NAMES = ("a", "b", "instance")
VALUES = ("", "x", "y", "x.y", "xx", "中")
EXPRESSIONS = (
    "x",
    "x|y",
    "x.*",
    ".+",
    ".*",
    "",
    "x?",
    "x.y",
    "(?i)X",
    "[xy]+",
    "(?P<n>x)",
    "y|",
    "中|x",
    "^x$",
)

matchers = st.builds(
    Matcher.of,
    st.sampled_from(NAMES),
    st.sampled_from(("=", "!=")),
    st.sampled_from(VALUES),
) | st.builds(Matcher.of, st.sampled_from(NAMES), st.sampled_from(("=~", "!~")), st.sampled_from(EXPRESSIONS))
label_sets = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES))


def plain(number: int, given_: tuple[Matcher, ...], targets: tuple[str, ...]) -> Silence:
    made = silence(f"s{number}", 'a="x"')
    kind = Kind.MAINTENANCE if targets else Kind.SILENCE
    return replace(made, matchers=given_, targets=targets, kind=kind)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(matchers, max_size=3).map(tuple), st.sets(st.sampled_from(("x", "y"))).map(tuple))
    ),
    st.lists(label_sets, max_size=5),
    st.sets(st.integers(0, 20)),
)
def test_the_index_finds_what_trying_each_finds(
    lists: list[tuple[tuple[Matcher, ...], tuple[str, ...]]], alerts: list[dict[str, str]], gone: set[int]
) -> None:
    mutes = Mutes()
    everything = [plain(number, *each) for number, each in enumerate(lists)]
    mutes.put(everything, NOW)
    mutes.put(everything[:3], NOW)
    mutes.remove(f"s{number}" for number in gone)
    kept = [one for number, one in enumerate(everything) if number not in gone]
    for labels in alerts:
        expected = {
            one.id
            for one in kept
            if all(matcher.matches(labels) for matcher in one.matchers)
            and (not one.targets or labels.get("instance", "") in one.targets)
        }
        for form in (labels, Labels(labels), Labels(labels)):
            assert {mute.id for mute in mutes.muting(form, NOW)} == expected


def test_literal_values_are_taken_from_what_is_equal_to_a_few() -> None:
    found = {
        text: set(literals_of(parse_matchers(text)[0]))
        for text in ('a="x.y"', "a=~x|y-1", "a=~x.y", 'a=""', "a!=x")
    }
    assert found == {
        'a="x.y"': {"x.y"},
        "a=~x|y-1": {"x", "y-1"},
        "a=~x.y": set(),
        'a=""': set(),
        "a!=x": set(),
    }


def test_a_mute_says_who_why_and_until_when() -> None:
    mutes = Mutes()
    one = silence("s1", "a=x", comment="new\npower supply", ends_at=NOW + 60)
    two = silence("m1", "a=x", kind=Kind.MAINTENANCE, change="CHG-7", comment="", ends_at=NOW + 600)
    mutes.put([one, two], NOW)
    first, second = mutes.muting({"a": "x"}, NOW)
    assert (first.kind, first.id, first.text, first.until) == (
        "maintenance",
        "m1",
        "CHG-7, li.wei",
        NOW + 600,
    )
    assert (second.kind, second.text, second.until) == ("silence", "li.wei: new power supply", NOW + 60)
    assert mutes.muting({"a": "y"}, NOW) == []


def test_time_decides_from_the_start_to_just_before_the_end() -> None:
    mutes = Mutes()
    mutes.put([silence("s", "a=x", starts_at=NOW + 10, ends_at=NOW + 20)], NOW)
    found = [bool(mutes.muting({"a": "x"}, NOW + after)) for after in (0, 9.9, 10, 19.9, 20, 5, 15)]
    assert found == [False, False, True, True, False, False, True]
    assert [one.id for one in mutes.matching({"a": "x"})] == ["s"]


def test_a_window_that_recurs_mutes_in_each_and_says_when_this_one_ends() -> None:
    mutes = Mutes()
    mutes.put([silence("m", "a=x", kind=Kind.MAINTENANCE, rule="daily", ends_at=NOW + 3600)], NOW)
    for day in (0, 1, 300):
        start = NOW + day * 86400
        assert [mute.until for mute in mutes.muting({"a": "x"}, start + 5)] == [start + 3600]
        assert mutes.muting({"a": "x"}, start + 3600) == []


def test_targets_take_those_that_can_only_be_reached_through_them_along() -> None:
    behind: dict[str, set[str]] = {"sw1": {"host1"}}

    def dependants(names: Collection[str]) -> set[str]:
        return set().union(*(behind.get(name, set()) for name in names))

    mutes = Mutes(dependants)
    window = Draft((), NOW + 60, kind=Kind.MAINTENANCE, targets=("sw1",))
    alone = replace(window, with_dependants=False)

    mutes.put([replace(silence_of(window, NOW, "li", None), id="w")], NOW)
    mutes.put([replace(silence_of(alone, NOW, "li", None), id="alone")], NOW)
    assert {mute.id for mute in mutes.muting({"instance": "sw1"}, NOW)} == {"w", "alone"}
    assert [mute.id for mute in mutes.muting({"instance": "host1"}, NOW)] == ["w"]
    assert mutes.muting({"alertname": "NoTarget"}, NOW) == []
    behind["sw1"] = {"host2"}
    mutes.adopt(NOW)
    assert mutes.muting({"instance": "host1"}, NOW) == []
    assert [mute.id for mute in mutes.muting({"instance": "host2"}, NOW)] == ["w"]


def test_a_thousand_silences_and_ten_thousand_alerts_cost_little() -> None:
    mutes = Mutes()
    for number in range(1000):
        if number % 4 == 0:
            text = f'instance=~"host{number}[0-9]+.*",severity!="info"'
        elif number % 4 == 1:
            text = f'alertname=~"Down|Slow{number}",instance="host{number}"'
        else:
            text = f'instance="host{number}",job="linux"'
        mutes.put([silence(f"s{number}", text)], NOW)
    alerts = [
        Labels(alertname=f"Alert{number % 100}", instance=f"host{number}", job="linux", severity="warning")
        for number in range(10_000)
    ]
    began = time.process_time()
    first = sum(bool(mutes.muting(labels, NOW)) for labels in alerts)
    cold = time.process_time() - began
    began = time.process_time()
    assert sum(bool(mutes.muting(labels, NOW)) for labels in alerts) == first
    warm = time.process_time() - began
    print(f"first look {cold * 1000:.0f} ms, next {warm * 1000:.0f} ms, muted {first}")
    assert first > 500
    # Two seconds and 25 ms on a quiet machine.
    assert cold < 10.0
    assert warm < cold / 10
