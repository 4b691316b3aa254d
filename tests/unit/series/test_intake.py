"""Samples from others: what arrives is what the head has, in whatever pieces it comes."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Iterable, Sequence

import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.model.batch import ABSENT_BITS, STALE
from sentinel.series.remote import wire
from tests.unit.series.sending import (
    START,
    Sample,
    Taken,
    body_of,
    instance,
    labelled,
    message,
    sample_of,
    series_of,
)

OWN = 'instance="web1", job="node"'
NAMES = tuple("abcdef")


def scrape(at: float, names: Iterable[str] = NAMES, value: float = 1.0) -> list[Sample]:
    return [(name, value, at) for name in names]


async def regular(taken: Taken, polls: int, *, pause: float = 15.0, names: Iterable[str] = NAMES) -> float:
    """That many scrapes, one an interval; the instant of the last."""
    at = START
    for tick in range(polls):
        at = START + tick * pause
        await taken.send(*scrape(at, names, float(tick)))
        await taken.wait(pause)
    return at


async def test_a_scrape_in_three_requests_is_one_poll() -> None:
    taken = Taken()
    for tick in range(3):
        at = START + 15 * tick
        for part in ("ab", "cd", "ef"):
            assert not (await taken.send(*scrape(at, part))).refused
        await taken.wait(15)
    assert [batch.at for batch in taken.batches] == [START, START + 15, START + 30]
    assert all(len(batch.reading.layout) == 6 for batch in taken.batches)
    assert taken.batches[0].reading.layout is taken.batches[2].reading.layout


async def test_a_whole_scrape_goes_to_the_head_with_its_last_request() -> None:
    taken = Taken()
    await regular(taken, 2)
    await taken.send(*scrape(START + 30, "abc"))
    assert len(taken.batches) == 2
    await taken.send(*scrape(START + 30, "def"))
    assert len(taken.batches) == 3


async def test_everything_comes_from_the_sender() -> None:
    taken = Taken()
    await taken.send(("up", 1.0, START), ("a", 2.0, START))
    await taken.wait(2)
    assert taken.now("{job='node'}") == {f"up{{{OWN}}}": 1.0, f"a{{{OWN}}}": 2.0}


async def test_a_series_that_stays_away_keeps_its_newest_sample() -> None:
    taken = Taken()
    await regular(taken, 3)
    for tick in range(3, 8):
        await taken.send(*scrape(START + 15 * tick, "abcde"))
        await taken.wait(15)
    assert taken.now("f") == {f"f{{{OWN}}}": 2.0}
    assert taken.samples("f")[f"f{{{OWN}}}"] == [(START + 15 * tick, float(tick)) for tick in range(3)]
    await taken.send(("f", 9.0, START + 120))
    await taken.wait(7)
    assert taken.now("f") == {f"f{{{OWN}}}": 9.0}
    assert len(taken.samples("a")[f"a{{{OWN}}}"]) == 8
    await taken.wait(300)
    assert taken.now("f") == {}


async def test_a_staleness_marker_ends_a_series_at_once() -> None:
    taken = Taken()
    await regular(taken, 2)
    await taken.send(*scrape(START + 30, "abcde"), ("f", STALE, START + 30))
    assert taken.now("f") == {}
    assert len(taken.now("a")) == 1
    before = len(taken.batches)
    await taken.send(*scrape(START + 45, "abcde"))
    assert len(taken.batches) == before + 1, "nobody waits for what has ended"
    await taken.wait(30)
    await taken.send(*scrape(START + 60, NAMES, 7.0))
    assert taken.now("f") == {f"f{{{OWN}}}": 7.0}


async def test_what_is_sent_again_is_taken_once_and_fine() -> None:
    taken = Taken()
    at = await regular(taken, 3)
    for _ in range(2):
        assert not (await taken.send(*scrape(at, NAMES, 2.0))).refused
        await taken.wait(7)
    assert taken.samples("a")[f"a{{{OWN}}}"] == [(START + 15 * tick, float(tick)) for tick in range(3)]


async def test_what_a_retry_cannot_save_is_refused_and_the_rest_taken() -> None:
    taken = Taken()
    at = await regular(taken, 3)
    verdict = await taken.send(("a", 5.0, at), ("b", 1.0, at - 15), ("c", 5.0, at + 15))
    assert verdict.refused == {"duplicate": 1, "out of order": 1}
    assert verdict.stored == 1
    assert f"b{{{OWN}}}" in str(verdict)
    await taken.wait(7)
    assert taken.samples("c")[f"c{{{OWN}}}"][-1] == (at + 15, 5.0)
    assert taken.samples("a")[f"a{{{OWN}}}"][-1] == (at, 2.0)
    counted = {"sender": "me", "reason": "duplicate"}
    assert taken.registry.get_sample_value("sentinel_received_refused_samples_total", counted) == 1.0


async def test_two_values_for_one_instant_in_one_request_are_refused() -> None:
    taken = Taken()
    verdict = await taken.send(("a", 1.0, START), ("a", 2.0, START), ("b", 1.0, START))
    assert verdict.refused == {"duplicate": 1}
    verdict = await taken.send(("b", 1.0, START))
    assert not verdict.refused


async def test_a_request_may_hold_several_instants_of_a_series() -> None:
    taken = Taken()
    body = b"".join(
        series_of(labelled(name), *((float(tick), START - 300 + 15 * tick) for tick in range(20)))
        for name in "ab"
    )
    verdict = await taken.intake.take(wire.compressed(body), "me")
    assert (verdict.stored, verdict.refused) == (40, {})
    await taken.wait(3)
    wanted = [(START - 300 + 15 * tick, float(tick)) for tick in range(20)]
    assert taken.samples("a")[f"a{{{OWN}}}"] == wanted
    assert taken.samples("b")[f"b{{{OWN}}}"] == wanted


async def test_a_series_is_the_same_however_it_is_encoded() -> None:
    taken = Taken()
    labels = {"__name__": "a", "instance": "web1", "job": "node", "z": "1", "empty": ""}
    bodies = [
        series_of(labels, (0.0, START)),
        series_of(dict(reversed(labels.items())), (0.0, START + 15), with_zero=True),
        series_of(labelled({k: v for k, v in labels.items() if v}), (1.0, START + 30)),
        series_of(dict(reversed(labels.items())), (2.0, START + 45)),
        message(1, sample_of(3.0, START + 60) + series_of(labels)[2:]),
    ]
    for body in bodies:
        assert not (await taken.intake.take(wire.compressed(body), "me")).refused
        await taken.wait(15)
    assert taken.samples("a") == {
        f'a{{{OWN}, z="1"}}': [(START + 15 * i, v) for i, v in enumerate((0.0, 0.0, 1.0, 2.0, 3.0))]
    }
    assert taken.head.series == 1


async def test_labels_that_end_like_a_sample_are_not_taken_for_one() -> None:
    taken = Taken()
    tricky = "x" + sample_of(1.5, START).decode("latin-1")
    for tick in range(3):
        body = b"".join(
            [
                series_of(labelled("a"), (float(tick), START + tick)),
                series_of({**labelled("a"), "z": tricky}, (10.0 + tick, START + tick)),
                series_of({**labelled("a"), "z": tricky}, (10.0 + tick, START + tick)),
            ]
        )
        assert not (await taken.intake.take(wire.compressed(body), "me")).refused
        await taken.wait(7)
    assert sorted(len(samples) for samples in taken.samples("a").values()) == [3, 3]


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"instance": "web1"}, "no metric name"),
        ({"__name__": "a", "": "x"}, "a label without a name"),
        ({"__name__": "a", "x": "y" * 8193}, "a label that is too long"),
        ({"__name__": "a", "y" * 1025: "x"}, "a label that is too long"),
        ({"__name__": "a"} | {f"l{i}": "x" for i in range(100)}, "too many labels"),
    ],
)
async def test_labels_out_of_bounds_are_refused(labels: dict[str, str], reason: str) -> None:
    taken = Taken()
    body = series_of(labels, (1.0, START)) + series_of(labelled("fine"), (1.0, START))
    verdict = await taken.intake.take(wire.compressed(body), "me")
    assert verdict.refused == {reason: 1}
    assert verdict.stored == 1


async def test_labels_that_are_no_text_or_come_twice_are_refused() -> None:
    taken = Taken()
    name = message(1, message(1, b"__name__") + message(2, b"a"))
    torn = message(1, name + message(1, message(1, b"x") + message(2, b"\xff")) + sample_of(1.0, START))
    twice = message(1, name + name + sample_of(1.0, START))
    verdict = await taken.intake.take(wire.compressed(torn + twice), "me")
    assert verdict.refused == {"labels that are not UTF-8": 1, "a label is named twice": 1}


@pytest.mark.parametrize(("age", "reason"), [(601.0, "too old"), (-61.0, "too far in the future")])
async def test_samples_out_of_time_are_refused_of_new_series_and_old_ones(age: float, reason: str) -> None:
    taken = Taken()
    assert (await taken.send(("a", 1.0, START - age))).refused == {reason: 1}
    await taken.send(("b", 1.0, START))
    assert (await taken.send(("b", 1.0, START - age))).refused == {reason: 1}
    assert (await taken.send(("c", 1.0, -1.0))).refused == {"too old": 1}
    assert (await taken.send(("c", 1.0, 1e14))).refused == {"too far in the future": 1}
    assert taken.intake.series == 1


async def test_there_is_a_limit_of_series() -> None:
    taken = Taken(max_series=3)
    verdict = await taken.send(*scrape(START))
    assert (verdict.stored, verdict.refused) == (3, {"too many series": 3})
    verdict = await taken.send(*scrape(START + 15))
    assert verdict.stored == 3


async def test_a_nan_with_the_bits_of_nothing_is_a_nan() -> None:
    taken = Taken()
    await taken.send(("a", float(np.uint64(ABSENT_BITS).view(np.float64)), START))
    await taken.wait(2)
    assert math.isnan(taken.now("a")[f"a{{{OWN}}}"])


async def test_series_without_job_and_instance_are_their_senders() -> None:
    taken = Taken()
    for tick in range(2):
        at = START + 15 * tick
        await taken.send(({"__name__": "x", "of": "one"}, 1.0, at), sender="one")
        await taken.send(({"__name__": "x", "of": "two"}, 1.0, at + 1), sender="two")
        await taken.wait(15)
    assert len(taken.now("x")) == 2
    assert {batch.source.target for batch in taken.batches} == {"one", "two"}


@pytest.mark.parametrize("pause", [0.7, 1.0, 4.0, 5.0, 15.0, 59.9, 60.0, 240.0])
async def test_no_sample_is_lost_at_any_interval(pause: float) -> None:
    taken = Taken()
    polls = 14
    for tick in range(polls):
        at = round(START + tick * pause, 3)
        assert not (await taken.send(*scrape(at, "ab", float(tick)))).refused
        taken.clock._move(pause)
        await taken.intake.hand_on()
    await taken.wait(8)
    if pause >= 1:
        wanted = [(round(START + tick * pause, 3), float(tick)) for tick in range(polls)]
        assert taken.samples("a")[f"a{{{OWN}}}"] == wanted
    else:
        assert len(taken.samples("a")[f"a{{{OWN}}}"]) >= polls * pause, (
            "more than one a second are thinned out"
        )


async def test_the_interval_follows_the_sender() -> None:
    taken = Taken()
    await regular(taken, 8, pause=60.0)
    assert taken.batches[-1].source.interval == 60.0


async def test_instants_of_their_own_stay_their_own() -> None:
    """As exporters give them that say when they measured."""
    taken = Taken()
    wanted: dict[str, list[tuple[float, float]]] = {name: [] for name in NAMES}
    for tick in range(12):
        samples: list[Sample] = []
        for place, name in enumerate(NAMES):
            at = START + 15 * tick + (0.5 * place if tick else 0.0)
            samples.append((name, float(tick), at))
            wanted[name].append((at, float(tick)))
        assert not (await taken.send(*samples)).refused
        await taken.wait(15)
    for name in NAMES:
        assert taken.samples(name)[f"{name}{{{OWN}}}"] == wanted[name]
    assert len(taken.now("{job='node'}")) == len(NAMES)


async def test_what_parted_for_a_while_is_one_poll_again() -> None:
    taken = Taken()
    await regular(taken, 3)
    await taken.send(*scrape(START + 45, "abcd"))
    await taken.wait(15)
    assert taken.sources == 2
    for tick in range(4, 10):
        await taken.send(*scrape(START + 15 * tick))
        await taken.wait(15)
    await taken.intake.care()
    assert taken.sources == 1
    for tick in range(10, 14):
        before = len(taken.batches)
        await taken.send(*scrape(START + 15 * tick))
        await taken.wait(15)
        assert len(taken.batches) == before + 1
    assert len(taken.samples("f")[f"f{{{OWN}}}"]) == 13
    assert len(taken.samples("a")[f"a{{{OWN}}}"]) == 14


async def test_what_cannot_be_read_there_cannot_be_relied_on_here() -> None:
    taken = Taken()
    read = frozenset({"a"})
    await taken.send(("up", 1.0, START), ("a", 1.0, START))
    await taken.wait(15)
    assert not taken.head.readability(instance("web1"), read)
    await taken.send(("up", 0.0, START + 15), ("a", STALE, START + 15))
    await taken.wait(1)
    assert taken.head.readability(instance("web1"), read)
    await taken.send(("up", 1.0, START + 30), ("a", 1.0, START + 30))
    await taken.wait(7)
    assert not taken.head.readability(instance("web1"), read)


async def test_a_target_that_the_sender_removed_is_gone_and_not_unreadable() -> None:
    taken = Taken()
    await taken.send(("up", 1.0, START), ("a", 1.0, START))
    await taken.wait(15)
    await taken.send(("up", STALE, START + 15), ("a", STALE, START + 15))
    await taken.wait(400)
    assert not taken.head.readability(instance("web1"), frozenset({"a"}))


async def test_a_silent_sender_cannot_be_relied_on_before_its_samples_are_too_old() -> None:
    taken = Taken()
    at = await regular(taken, 3)
    read, seen = frozenset({"a"}), False
    while taken.clock.now() < at + 320:
        await taken.wait(0.5)
        seen = seen or taken.head.readability(instance("web1"), read)
        assert taken.now("a") or seen
    assert seen
    assert not taken.now("a")
    assert not (await taken.send(*scrape(taken.clock.now()))).refused
    await taken.wait(7)
    assert not taken.head.readability(instance("web1"), read)


async def test_a_sender_that_was_away_brings_what_it_kept() -> None:
    taken = Taken()
    at = await regular(taken, 3)
    await taken.wait(400)
    for tick in range(1, 28):
        assert not (await taken.send(*scrape(at + 15 * tick, NAMES, float(tick)))).refused
    assert len(taken.samples("a")[f"a{{{OWN}}}"]) == 30


async def test_who_is_gone_is_forgotten_after_the_retention() -> None:
    taken = Taken(retention=600.0)
    await regular(taken, 3)
    assert taken.intake.may_send("web1")
    await taken.wait(640)
    await taken.intake.care()
    assert taken.intake.series == 0
    assert len(taken.forgotten) == 1
    assert not taken.intake.may_send("web1")
    await taken.send(({"__name__": "y"}, 1.0, taken.clock.now()))
    await taken.wait(2000)
    await taken.send(({"__name__": "y"}, 1.0, taken.clock.now()))
    await taken.wait(2)
    taken.head.vacuum()
    assert taken.head.series == 1


async def test_series_that_ended_are_given_up_and_their_numbers_given_again() -> None:
    taken = Taken(max_series=8)
    for round_ in range(20):
        at = taken.clock.now()
        ended = [(f"x{round_ - 1}", STALE, at)] if round_ else []
        assert not (await taken.send(*scrape(at), (f"x{round_}", 1.0, at), *ended)).refused
        for _ in range(6):
            await taken.wait(115)
            at = taken.clock.now()
            await taken.send(*scrape(at), (f"x{round_}", 1.0, at))
        await taken.wait(10)
        await taken.intake.care()
    assert taken.intake.series <= 8


async def test_after_a_start_who_has_not_spoken_yet_may_still_do_so() -> None:
    taken = Taken()
    assert taken.intake.may_send("web1")
    assert taken.intake.is_waiting(instance("web1"))
    await taken.send(*scrape(START))
    assert not taken.intake.is_waiting(instance("web1"))
    await taken.wait(601)
    assert taken.intake.may_send("web1")
    assert not taken.intake.may_send("web2")
    assert not taken.intake.is_waiting(instance("web2"))


async def test_metadata_tell_what_metrics_mean() -> None:
    taken = Taken()
    text = b"\x08\x01" + message(2, b"x_total") + message(4, b"How many.") + message(5, b"things")
    await taken.intake.take(wire.compressed(message(3, text)), "me")
    family = taken.head.families()["x_total"]
    assert (family.type, family.help, family.unit) == ("counter", "How many.", "things")


async def test_native_histograms_are_left_out_and_counted() -> None:
    taken = Taken()
    body = message(1, series_of(labelled("h"))[2:] + message(4, b"\x18\x00"))
    verdict = await taken.intake.take(wire.compressed(body), "me")
    assert not verdict.refused
    counted = {"sender": "me", "reason": "native histogram"}
    assert taken.registry.get_sample_value("sentinel_received_refused_samples_total", counted) == 1.0


async def test_a_large_request_lets_others_have_their_turn() -> None:
    hosts = [{"instance": f"h{host}", "job": "node"} for host in range(20)]
    bodies = [
        body_of(
            ({"__name__": f"m{number}", **host}, float(number), START + tick)
            for host in hosts
            for number in range(400)
        )
        for tick in range(2)
    ]
    # The collector of garbage, or a page that has to be fetched, may fall into one of them, not into each.
    worst = min([await _longest_go(bodies) for _ in range(3)])
    assert worst < 0.15, "seconds of processor time in one go; a third of that on a quiet machine"


async def _longest_go(bodies: Sequence[bytes]) -> float:
    """Seconds of processor time for which the intake of those requests holds the event loop."""
    taken = Taken(max_series=100_000)
    taken.clock.monotonic = time.monotonic  # type: ignore[method-assign]
    worst, ended = 0.0, False

    async def watch() -> None:
        nonlocal worst
        while not ended:
            before = time.thread_time()
            await asyncio.sleep(0)
            worst = max(worst, time.thread_time() - before)

    watching = asyncio.ensure_future(watch())
    for body in bodies:
        assert not (await taken.intake.take(body, "me")).refused
        while any(cohort.waiting for cohort in taken.intake.cohorts):
            await asyncio.sleep(0.01)
            await taken.intake.hand_on()
    ended = True
    await watching
    assert taken.head.series == 8000
    return worst


# Anything may come


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    async def run() -> None:
        taken = Taken()
        for body in (data, bytes(cramjam.snappy.compress_raw(data))):
            with contextlib.suppress(wire.WireError):
                await taken.intake.take(body, "me")
        taken.intake.flush()

    asyncio.run(run())


@given(st.data())
def test_a_request_that_is_cut_or_changed_is_refused_or_read(data: st.DataObject) -> None:
    async def run() -> None:
        taken = Taken()
        plain = bytearray(
            b"".join(series_of(labelled(name), (float(i), START)) for i, name in enumerate(NAMES))
        )
        await taken.intake.take(wire.compressed(bytes(plain)), "me")
        place = data.draw(st.integers(0, len(plain) - 1))
        if data.draw(st.booleans()):
            plain[place] ^= data.draw(st.integers(1, 255))
        else:
            del plain[place:]
        with contextlib.suppress(wire.WireError):
            await taken.intake.take(wire.compressed(bytes(plain)), "me")
        taken.intake.flush()

    asyncio.run(run())


async def test_bombs_are_refused_before_they_are_opened() -> None:
    bomb = bytes(cramjam.snappy.compress_raw(bytes(wire.MAX_BYTES + 1)))
    with pytest.raises(wire.TooLargeError):
        await Taken().intake.take(bomb, "me")
    boast = bytes([0xFF, 0xFF, 0xFF, 0x07]) + b"\0"
    with pytest.raises(wire.WireError):
        await Taken().intake.take(boast, "me")


_VALUES = st.sampled_from([0.0, 1.0, -2.5, math.inf, STALE])
_TICKS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(NAMES), _VALUES, st.integers(0, 2)), unique_by=lambda one: one[0]),
        st.integers(1, 4),
        st.sampled_from([0.0, 3.0, 15.0, 40.0]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(_TICKS)
def test_whatever_comes_in_whatever_pieces_is_what_prometheus_would_have(
    ticks: list[tuple[list[tuple[str, float, int]], int, float, bool]],
) -> None:
    """Series come and stay away, end, have instants of their own; each one's samples stay in their order."""

    async def run() -> None:
        taken = Taken()
        wanted: dict[str, list[tuple[float, float]]] = {}
        at = START
        for samples, pieces, pause, is_care in ticks:
            sent: list[Sample] = [(name, value, at + late) for name, value, late in samples]
            for piece in range(pieces):
                part = [one for place, one in enumerate(sent) if place % pieces == piece]
                assert not (await taken.send(*part)).refused
                for name, value, when in part:
                    wanted.setdefault(str(name), []).append((when, value))
            await taken.wait(pause)
            at = max(at + 3.0, taken.clock.now())
            if is_care:
                await taken.intake.care()
        await taken.wait(max(at - taken.clock.now(), 0) + 12)
        for name, points in wanted.items():
            held = [point for point in points if not _is_stale(point[1])]
            found = taken.samples(name).get(f"{name}{{{OWN}}}", [])
            assert found == held, name
            fresh = points[-1][0] > taken.clock.now() - 300 and not _is_stale(points[-1][1])
            assert taken.now(name) == ({f"{name}{{{OWN}}}": points[-1][1]} if fresh else {}), name

    asyncio.run(run())


def _is_stale(value: float) -> bool:
    return np.float64(value).tobytes() == np.float64(STALE).tobytes()


async def test_series_that_begin_again_behind_their_company_do_so_all_in_one_request() -> None:
    taken = Taken()
    await taken.send(("a", STALE, START), ("c", STALE, START), ("e", 1.0, START), ("b", STALE, START))
    await taken.wait(7)
    await taken.send(("e", 1.0, START + 15))
    await taken.wait(1)
    later = [(name, 2.0, START + 5 * place) for place, name in enumerate("acb", start=1)]
    assert not (await taken.send(*later, *((name, 3.0, START + 12) for name in "acb"))).refused
    await taken.wait(15)
    for place, name in enumerate("acb", start=1):
        wanted = sorted({(START + 5 * place, 2.0), (START + 12, 3.0)})
        assert taken.samples(name)[f"{name}{{{OWN}}}"] == wanted
    assert taken.samples("e")[f"e{{{OWN}}}"] == [(START, 1.0), (START + 15, 1.0)]


async def test_labels_of_a_thousand_hosts_stay_apart() -> None:
    taken = Taken(max_series=5000)
    samples: list[Sample] = [
        ({"__name__": "a", "instance": f"h{host}", "job": "node"}, float(host), START) for host in range(1000)
    ]
    body = body_of(samples)
    await taken.intake.take(body, "me")
    await taken.wait(3)
    assert taken.now("sum(a)") == {"{}": 499500.0}
    assert taken.sources == 1000
