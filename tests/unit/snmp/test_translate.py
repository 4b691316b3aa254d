"""Indexes, lookups and types of every kind, with the labels and values that snmp_exporter gives them.

The cases follow snmp_exporter's own tests of the same behaviour (its collector/collector_test.go).
"""

from __future__ import annotations

import pytest

from sentinel.collect.snmp import ber, texts
from sentinel.collect.snmp.format import Index
from tests.unit.snmp.agent import Agent, Value, integer, serving, text
from tests.unit.snmp.reading import module_of, opened, samples

ENTRY = "1.3.6.1.4.1.99999.1.1"
TWO_INDEXES = "[{labelname: a, type: gauge}, {labelname: b, type: gauge}]"


async def read(metric: str, rows: dict[str, Value]) -> dict[str, float]:
    """What one metric makes of these rows (OIDs below ENTRY), the same on the first poll and on later ones."""
    module = module_of(
        f"modules:\n  table:\n    walk: [{ENTRY}]\n    metrics:\n      - {{name: m, oid: {ENTRY}.42, {metric}}}\n"
    )
    table = {f"{ENTRY}.{oid}": value for oid, value in rows.items()}
    async with serving(Agent(table)) as agent, opened(module, agent.port) as collector:
        first = samples(await collector.poll(at=0, timeout=5))
        for _ in range(2):
            assert samples(await collector.poll(at=0, timeout=5)) == first
    return first


def octets(*values: int) -> Value:
    return ber.OCTET_STRING, bytes(values)


@pytest.mark.parametrize(
    ("index", "numbers", "label"),
    [
        ("type: gauge", "7", "7"),
        ("type: Integer32", "7", "7"),
        ("type: DisplayString", "2.65.65", "AA"),
        ("type: DisplayString, fixed_size: 3", "65.66.67", "ABC"),
        ("type: DisplayString, implied: true", "65.66.67.68", "ABCD"),
        ("type: DisplayString", "3.228.189.160", "你"),
        ("type: DisplayString", "2.65.255", "0x41FF"),
        ("type: OctetString", "2.65.65", "0x4141"),
        ("type: OctetString, fixed_size: 2", "1.255", "0x01FF"),
        ("type: OctetString", "0", None),
        ("type: PhysAddress48", "0.27.68.1.2.255", "00:1B:44:01:02:FF"),
        ("type: InetAddressIPv4", "192.168.1.2", "192.168.1.2"),
        ("type: InetAddressIPv4", "192.168", "192.168.0.0"),
        (
            "type: InetAddressIPv6",
            "42.6.2.0.0.0.0.0.0.0.0.0.0.0.0.1",
            "2A06:0200:0000:0000:0000:0000:0000:0001",
        ),
        ("type: InetAddress", "1.4.192.168.1.2", "192.168.1.2"),
        (
            "type: InetAddress",
            "2.16.42.6.2.0.0.0.0.0.0.0.0.0.0.0.0.1",
            "2A06:0200:0000:0000:0000:0000:0000:0001",
        ),
        ("type: InetAddress", "3.2.192.168", "0x0302C0A8"),
        ("type: InetAddressMissingSize", "1.192.168.1.2", "192.168.1.2"),
        ("type: EnumAsInfo, enum_values: {1: one}", "1", "one"),
        ("type: EnumAsInfo, enum_values: {1: one}", "2", "2"),
    ],
)
async def test_indexes_become_labels(index: str, numbers: str, label: str | None) -> None:
    found = await read(f"type: gauge, indexes: [{{labelname: l, {index}}}]", {f"42.{numbers}": integer(3)})
    assert found == {f'm{{l="{label}"}}' if label else "m{}": 3}


async def test_indexes_of_several_parts_are_taken_in_order() -> None:
    parts = (("a", "InetAddress"), ("b", "DisplayString"), ("c", "gauge"))
    indexes = ", ".join(f"{{labelname: {label}, type: {kind}}}" for label, kind in parts)
    found = await read(f"type: gauge, indexes: [{indexes}]", {"42.1.4.10.0.0.1.2.65.66.9": integer(1)})
    assert found == {'m{a="10.0.0.1", b="AB", c="9"}': 1}


@pytest.mark.parametrize(
    ("kind", "value", "label"),
    [
        ("DisplayString", text('up, and "running"'), 'up, and \\"running\\"'),
        ("DisplayString", octets(0xC4, 0xE3), "0xC4E3"),
        ("DisplayString", integer(-2), "-2"),
        ("OctetString", octets(1, 254), "0x01FE"),
        ("OctetString", (ber.OBJECT_IDENTIFIER, ber.encode_oid("1.3.6.1.4.1.9.1.1")), "1.3.6.1.4.1.9.1.1"),
        ("OctetString", (ber.IP_ADDRESS, bytes((10, 0, 0, 1))), "10.0.0.1"),
        ("PhysAddress48", octets(0, 27, 68, 1, 2, 255), "00:1B:44:01:02:FF"),
        ("InetAddressIPv4", octets(10, 0, 0, 1), "10.0.0.1"),
        ("DisplayString", (ber.OPAQUE, bytes.fromhex("9f78043dcccccd")), "0.1"),
    ],
)
async def test_texts_become_a_label_and_the_value_one(kind: str, value: Value, label: str) -> None:
    assert await read(f"type: {kind}", {"42.0": value}) == {f'm{{m="{label}"}}': 1}


@pytest.mark.parametrize(("number", "label"), [(1, "4.5.6.7"), (3, "0x04050607"), (None, "0x04050607")])
async def test_the_type_of_an_address_stands_in_the_column_before(number: int | None, label: str) -> None:
    rows = {"42.2": octets(4, 5, 6, 7)} | ({"41.2": integer(number)} if number else {})
    found = await read("type: InetAddress, indexes: [{labelname: i, type: gauge}]", rows)
    assert found == {f'm{{i="2", m="{label}"}}': 1}


async def test_enums_as_info_carry_the_word() -> None:
    rows = {"42.1": integer(2), "42.2": integer(9)}
    found = await read(
        "type: EnumAsInfo, indexes: [{labelname: i, type: gauge}], enum_values: {1: a, 2: b}", rows
    )
    assert found == {'m_info{i="1", m="b"}': 1, 'm_info{i="2", m="9"}': 1}


async def test_enums_as_state_set_give_every_state() -> None:
    found = await read("type: EnumAsStateSet, enum_values: {1: a, 2: b, 3: c}", {"42.0": integer(2)})
    assert found == {'m{m="a"}': 0, 'm{m="b"}': 1, 'm{m="c"}': 0}
    found = await read("type: EnumAsStateSet, enum_values: {1: a}", {"42.0": integer(7)})
    assert found == {'m{m="a"}': 0, 'm{m="7"}': 1}


async def test_bits_count_from_the_highest_of_the_first_byte() -> None:
    found = await read(
        "type: Bits, enum_values: {0: a, 1: b, 7: c, 8: d, 99: e}", {"42.0": octets(0b01000001, 0x80)}
    )
    assert found == {'m{m="a"}': 0, 'm{m="b"}': 1, 'm{m="c"}': 1, 'm{m="d"}': 1, 'm{m="e"}': 0}


@pytest.mark.parametrize(
    ("parameters", "value"),
    [("scale: 0.1", 42.0), ("offset: -1", 419.0), ("scale: -1, offset: 2", -418.0), ("scale: 0", 420.0)],
)
async def test_numbers_are_scaled_and_shifted(parameters: str, value: float) -> None:
    assert await read(f"type: gauge, {parameters}", {"42.0": integer(420)}) == {"m{}": pytest.approx(value)}


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("07e8021d0c1e0000", 1709209800),
        ("07e8021d0c1e00002b0800", 1709181000),
        ("07e8021d0c1e00002d051e", 1709229600),
        ("07e8021d0c1e00", None),
        ("07e8021d0c1e00002a0000", None),
        ("07e8001d0c1e0000", None),
    ],
)
async def test_dates_become_unix_seconds(written: str, seconds: float | None) -> None:
    found = await read("type: DateAndTime", {"42.0": (ber.OCTET_STRING, bytes.fromhex(written))})
    assert found == ({} if seconds is None else {"m{}": seconds})


@pytest.mark.parametrize(
    ("written", "pattern", "seconds"),
    [
        ("2024-02-29 12:30:00", "%Y-%m-%d %H:%M:%S", 1709209800),
        ("29.02.2024 20:30 +0800", "%d.%m.%Y %H:%M %z", 1709209800),
        ("yesterday", "%Y-%m-%d %H:%M:%S", None),
        ("2024-02-30 12:30:00", "%Y-%m-%d %H:%M:%S", None),
    ],
)
async def test_written_dates_become_unix_seconds(written: str, pattern: str, seconds: float | None) -> None:
    found = await read(f"type: ParseDateAndTime, datetime_pattern: '{pattern}'", {"42.0": text(written)})
    assert found == ({} if seconds is None else {"m{}": seconds})


@pytest.mark.parametrize(
    ("stamp", "seconds"), [("e98af74880000000", 1709209800), ("e98af748", None), ("", None)]
)
async def test_ntp_timestamps_become_unix_seconds(stamp: str, seconds: float | None) -> None:
    found = await read("type: NTPTimeStamp", {"42.0": (ber.OCTET_STRING, bytes.fromhex(stamp))})
    assert found == ({} if seconds is None else {"m{}": seconds})


EXTRACTS = (
    "type: DisplayString, scale: 2, offset: 1, regex_extracts: {"
    "Temp: [{regex: '([0-9.]+) C.*', value: '$1'}, {regex: '(-?[0-9]+) Celsius'}], "
    "Fan: [{regex: '.* fan (?P<speed>[0-9]+)', value: '${speed}e1'}]}"
)


@pytest.mark.parametrize(
    ("said", "series"),
    [
        ("21.5 C fan 30", {"mTemp{}": 44, "mFan{}": 601}),
        ("-4 Celsius", {"mTemp{}": -7}),
        ("at 21 C", {}),
        ("1.2.3 C", {}),
        ("", {}),
    ],
)
async def test_numbers_are_taken_out_of_texts(said: str, series: dict[str, float]) -> None:
    assert await read(EXTRACTS, {"42.0": text(said)}) == series


@pytest.mark.parametrize(("written", "number"), [("1e3", 1000), ("+Inf", float("inf")), ("1_000", None)])
def test_extracted_numbers_are_read_as_go_reads_them(written: str, number: float | None) -> None:
    assert texts.number_in(written) == number


@pytest.mark.parametrize(
    ("hint", "content", "label"),
    [
        ("1x:", "001a2b3c4d5e", "00:1a:2b:3c:4d:5e"),
        ("1d.1d.1d.1d", "c0a80101", "192.168.1.1"),
        ("255a", "48656c6c6f", "Hello"),
        ("2d-1d-1d,1d:1d:1d.1d,1a1d:1d", "07e8021d0c1e0005" + "2b0800", "2024-2-29,12:30:0.5,+8:0"),
        ("*1x:/1x:", "02aabb03ccdd", "aa:bb/03:cc:dd"),
        ("1o ", "0810", "10 20"),
        ("nonsense", "0810", "0x0810"),
        ("0a", "0810", "0x0810"),
    ],
)
async def test_octets_are_written_as_their_display_hint_says(hint: str, content: str, label: str) -> None:
    value = (ber.OCTET_STRING, bytes.fromhex(content))
    assert await read(f"type: OctetString, display_hint: '{hint}'", {"42.0": value}) == {
        f'm{{m="{label}"}}': 1
    }


async def test_a_looked_up_number_may_be_a_word() -> None:
    lookups = (
        f"[{{labels: [i], labelname: kind, oid: {ENTRY}.2, type: EnumAsInfo, enum_values: {{1: disk}}}}]"
    )
    metric = f"type: gauge, indexes: [{{labelname: i, type: gauge}}], lookups: {lookups}"
    rows = {"42.1": integer(3), "2.1": integer(1), "42.2": integer(4), "2.2": integer(7)}
    assert await read(metric, rows) == {'m{i="1", kind="disk"}': 3, 'm{i="2", kind="7"}': 4}


async def test_an_enum_that_is_its_own_index_is_told_once() -> None:
    enum = "type: EnumAsInfo, enum_values: {1: a}"
    metric = f"{enum}, indexes: [{{labelname: m, {enum}}}]"
    assert await read(metric, {"42.1": integer(1)}) == {}


async def test_lookups_follow_each_other_and_drop_what_they_came_from() -> None:
    lookups = (
        f"[{{labels: [a], labelname: chained_id, oid: {ENTRY}.2, type: gauge}}, "
        f"{{labels: [chained_id], labelname: chained, oid: {ENTRY}.3, type: DisplayString}}, "
        "{labels: [], labelname: a}, {labels: [], labelname: chained_id}]"
    )
    rows = {"42.1.10": integer(3), "2.1": integer(25), "3.25": text("disk"), "2.2": integer(26)}
    metric = f"type: gauge, indexes: {TWO_INDEXES}, lookups: {lookups}"
    assert await read(metric, rows) == {'m{b="10", chained="disk"}': 3}


async def test_lookups_over_several_indexes_take_them_in_their_order() -> None:
    lookups = f"[{{labels: [b, a], labelname: name, oid: {ENTRY}.3, type: DisplayString}}]"
    metric = f"type: gauge, indexes: {TWO_INDEXES}, lookups: {lookups}"
    assert await read(metric, {"42.1.10": integer(3), "3.10.1": text("x")}) == {
        'm{a="1", b="10", name="x"}': 3
    }


def test_device_text_is_bounded() -> None:
    assert len(texts.value_text(ber.OCTET_STRING, b"a" * 60_000, "DisplayString")) == texts.MAX_TEXT
    assert len(texts.value_text(ber.OCTET_STRING, b"\xff" * 60_000, "OctetString")) <= texts.MAX_TEXT + 2


@pytest.mark.parametrize(
    "kind", ["DisplayString", "OctetString", "InetAddress", "LldpPortId", "InetAddressMissingSize"]
)
def test_an_index_with_an_absurd_length_stays_small(kind: str) -> None:
    index = Index(labelname="l", type=kind)
    for numbers in ((2**32 - 1,), (9, 2**32 - 1, 1), (2**31, 2**32 - 1), ()):
        label, used, rest = texts.index_text(index, numbers)
        assert len(label) <= texts.MAX_TEXT + 2
        assert len(used) + len(rest) < 300
